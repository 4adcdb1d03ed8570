"""The sink against a real SQLite store: what arrives, once, whatever is repeated."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.tracking import MlflowSink

Maker = Callable[..., MlflowSink]
Train = Callable[..., int]


def runs_of(mlflow: Any, name: str) -> list[Any]:
    experiment = mlflow.get_experiment_by_name(name)
    return list(mlflow.search_runs([experiment.experiment_id], max_results=1000))


def parent_of(mlflow: Any, name: str) -> Any:
    (parent,) = [run for run in runs_of(mlflow, name) if run.data.tags["searchplat.kind"] == "search"]
    return parent


def trials_of(mlflow: Any, name: str) -> dict[int, Any]:
    found = [run for run in runs_of(mlflow, name) if run.data.tags["searchplat.kind"] == "trial"]
    numbered = {int(run.data.tags["searchplat.trial"]): run for run in found}
    assert len(numbered) == len(found), "two runs of one trial"
    return numbered


def rows_of(mlflow: Any, run: Any) -> list[tuple[str, float, int, int]]:
    return [
        (row.key, row.value, row.timestamp, row.step)
        for key in run.data.metrics
        for row in mlflow.get_metric_history(run.info.run_id, key)
    ]


def test_one_parent_and_one_child_a_trial_with_everything_by_its_name(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train, suggest: Train
) -> None:
    ledger.note("opened", {"resumed": False})
    sink = new_sink()
    sink.start()
    train(0.3)
    train(0.5, TrialState.STOPPED, stage="weights")
    train(0.4, stage="controls", control="default")
    train(0.9, TrialState.FAILED)
    still_open = suggest()
    assert sink.flush(20) == 0
    assert sink.backlog() == 0
    assert sink.last_error is None

    parent = parent_of(mlflow, name)
    trials = trials_of(mlflow, name)
    assert sorted(trials) == [0, 1, 2, 3, still_open]
    assert parent.info.run_name == name
    assert parent.info.status == "RUNNING"
    assert parent.data.tags["searchplat.method"] == "toy"
    # The curve of the best: steps count ended trials; neither the control nor the failed trial is on it.
    history = mlflow.get_metric_history(parent.info.run_id, "best/valid/mrr")
    assert [(row.step, row.value) for row in history] == [(1, 0.3), (2, 0.5)]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials.values()} == {parent.info.run_id}

    first = trials[0]
    assert first.info.run_name == "trial-0000 layout"
    assert first.info.status == "FINISHED"
    assert first.data.tags["searchplat.state"] == "finished"
    assert first.data.tags["searchplat.layout"] == "010-000-111"
    assert first.data.params["loop.epochs"] == "3"
    assert first.data.params["data_fraction"] == "0.2"
    assert first.data.params["seed"] == "7"
    assert first.data.metrics["best/valid/mrr"] == 0.3
    assert first.data.metrics["best/valid/ndcg_at_10"] == 0.3
    assert [r.step for r in mlflow.get_metric_history(first.info.run_id, "valid/ndcg_at_10")] == [1, 2]
    assert trials[1].data.tags["searchplat.stage"] == "weights"
    assert trials[1].data.tags["searchplat.state"] == "stopped"
    assert trials[1].info.status == "FINISHED"
    assert trials[2].info.run_name == "control-default"
    assert trials[2].data.tags["searchplat.control"] == "default"
    assert trials[3].info.status == "FAILED"
    assert "best/valid/mrr" not in trials[3].data.metrics
    assert trials[still_open].info.status == "RUNNING"
    assert trials[still_open].data.tags["searchplat.state"] == "waiting"
    # Pictures follow the rows.
    assert sink.stop(20) == 0
    for run in trials.values():
        assert [file.path for file in mlflow.list_artifacts(run.info.run_id)] == ["layout.png"]


def test_the_parent_has_the_space_file_the_resolved_space_and_a_description(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train, store: str, tmp_path: Path
) -> None:
    train(0.25)
    sink = new_sink(space_text="url: https://ann:pa55@hub\n", tags={"origin": "https://ann:pa55@git/x"})
    sink.start()
    ledger.note("closed", {"state": "done"})
    assert sink.stop(20) == 0
    parent = parent_of(mlflow, name)
    files = sorted(file.path for file in mlflow.list_artifacts(parent.info.run_id))
    assert files == ["progress.png", "resolved.json", "toy.yaml"]
    text = Path(mlflow.download_artifacts(parent.info.run_id, "toy.yaml", str(tmp_path))).read_text()
    assert text == "url: https://***@hub\n"
    assert parent.data.tags["origin"] == "https://***@git/x"
    # Artifacts lie beside the database, wherever the search was started.
    assert str(Path(store.removeprefix("sqlite:///")).parent / "mlruns") in parent.info.artifact_uri
    assert parent.info.status == "FINISHED"
    note = parent.data.tags["mlflow.note.content"]
    assert "`valid/mrr` **0.25**" in note
    assert f"searchplat promote {name}" in note
    assert f"](get-artifact?path=progress.png&run_uuid={parent.info.run_id})" in note
    page = f"#/experiments/{parent.info.experiment_id}/runs?workflowType=machine_learning"
    assert f"[trials, the best first]({page}&viewStateShareKey=trials)" in note
    # Whoever connects later and has nothing to send leaves the description right.
    assert new_sink().flush(20) == 0
    assert new_sink().stop(20) == 0
    assert parent_of(mlflow, name).data.tags["mlflow.note.content"] == note


def test_sending_everything_again_changes_no_row(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    ledger.note("opened", {})
    for value in (0.3, 0.5, 0.2):
        train(value)
    ledger.note("closed", {"state": "done"})
    sink = new_sink()
    sink.flush(20)
    sink.stop(20)
    before = {run.info.run_id: sorted(rows_of(mlflow, run)) for run in runs_of(mlflow, name)}
    ledger.set_cursor("mlflow", 0)
    again = new_sink()
    assert again.backlog() == ledger.seq
    assert again.stop(20) == ledger.seq  # never started: nothing is sent, nothing is lost
    again = new_sink()
    again.start()
    assert again.stop(20) == 0
    after = {run.info.run_id: sorted(rows_of(mlflow, run)) for run in runs_of(mlflow, name)}
    assert after == before
    assert {run.info.status for run in runs_of(mlflow, name)} == {"FINISHED"}


def test_runs_whose_identifiers_were_lost_are_found_again_by_their_tags(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    for value in (0.3, 0.5):
        train(value)
    sink = new_sink()
    sink.flush(20)
    sink.stop(20)
    before = {run.info.run_id for run in runs_of(mlflow, name)}
    ledger.forget_sink("mlflow")
    train(0.6)
    assert new_sink().flush(20) == 0
    after = {run.info.run_id for run in runs_of(mlflow, name)}
    assert before < after
    assert len(after) == len(before) + 1


def test_test_metrics_and_numbers_that_are_none_never_arrive_as_metrics(
    ledger: Ledger,
    mlflow: Any,
    name: str,
    new_sink: Maker,
    suggest: Train,
    caplog: pytest.LogCaptureFixture,
) -> None:
    number = suggest()
    ledger.start(number)
    ledger.report(number, 1, {"valid/mrr": 0.1, "test/mrr": 0.9, "train/loss": 1.0})
    ledger.report(number, 2, {"valid/mrr": math.nan, "train/loss": math.inf})
    ledger.end(number, TrialState.DIVERGED, "valid/mrr is nan")
    with caplog.at_level(logging.ERROR, logger="searchplat.tracking"):
        assert new_sink().flush(20) == 0
    assert "must never see the test split" in caplog.text
    run = trials_of(mlflow, name)[number]
    assert {(key, step) for key, _, _, step in rows_of(mlflow, run)} == {("valid/mrr", 1), ("train/loss", 1)}
    assert run.data.tags["searchplat.non_finite"] == "epoch 2: train/loss=inf, valid/mrr=nan"
    assert run.data.tags["searchplat.cause"] == "valid/mrr is nan"
    assert run.info.status == "FAILED"


def test_an_interrupted_search_leaves_nothing_running_and_a_resumed_one_goes_on_in_the_same_runs(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train, suggest: Train
) -> None:
    ledger.note("opened", {"resumed": False})
    sink = new_sink()
    sink.start()
    train(0.3)
    half = suggest()
    ledger.start(half)
    ledger.report(half, 1, {"valid/mrr": 0.1, "valid/ndcg@10": 0.1})
    ledger.note("closed", {"state": "interrupted", "message": "interrupted"})
    assert sink.stop(20) == 0
    statuses = Counter(run.info.status for run in runs_of(mlflow, name))
    assert statuses == {"KILLED": 2, "FINISHED": 1}
    assert "It is not running." in parent_of(mlflow, name).data.tags["mlflow.note.content"]
    before = {run.info.run_id for run in runs_of(mlflow, name)}

    ledger.note("opened", {"resumed": True})
    ledger.requeue(half)
    sink = new_sink()
    assert sink.flush(20) == 0
    assert trials_of(mlflow, name)[half].info.status == "RUNNING"
    assert parent_of(mlflow, name).info.status == "RUNNING"
    ledger.start(half)
    ledger.report(half, 2, {"valid/mrr": 0.2, "valid/ndcg@10": 0.2})
    ledger.end(half, TrialState.FINISHED)
    ledger.note("closed", {"state": "done"})
    assert sink.stop(20) == 0
    assert {run.info.run_id for run in runs_of(mlflow, name)} == before
    assert {run.info.status for run in runs_of(mlflow, name)} == {"FINISHED"}


def test_a_driver_that_ends_without_a_word_leaves_nothing_running_either(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, suggest: Train
) -> None:
    ledger.note("opened", {})
    ledger.start(suggest())
    sink = new_sink()
    sink.start()
    assert sink.stop(20) == 0
    assert {run.info.status for run in runs_of(mlflow, name)} == {"KILLED"}


def test_a_trial_deleted_by_a_person_stays_deleted_and_holds_up_nothing(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train, suggest: Train
) -> None:
    half = suggest()
    sink = new_sink()
    sink.flush(20)
    mlflow.delete_run(trials_of(mlflow, name)[half].info.run_id)
    ledger.start(half)
    ledger.report(half, 1, {"valid/mrr": 0.1, "valid/ndcg@10": 0.1})
    other = train(0.4)
    assert sink.flush(20) == 0
    assert list(trials_of(mlflow, name)) == [other]


def test_another_store_gets_everything_from_the_beginning(
    ledger: Ledger, name: str, new_sink: Maker, train: Train, store: str, mlflow: Any
) -> None:
    train(0.3)
    sink = new_sink()
    sink.flush(20)
    sink.stop(20)
    # The same experiment under another identity, as after `mv mlflow.db` or on a copy: all is found, none doubled.
    before = {run.info.run_id for run in runs_of(mlflow, name)}
    ledger.set_meta("mlflow.store", "elsewhere")
    sink = new_sink()
    assert sink.flush(20) == 0
    sink.stop(20)
    assert {run.info.run_id for run in runs_of(mlflow, name)} == before
    # Really another one: everything is new.
    elsewhere = f"{name}-elsewhere"
    train(0.4)
    assert new_sink(experiment=elsewhere).flush(20) == 0
    assert sorted(trials_of(mlflow, elsewhere)) == [0, 1]
    assert sorted(trials_of(mlflow, name)) == [0]


def test_a_store_that_cannot_be_reached_costs_the_driver_nothing_and_loses_nothing(
    ledger: Ledger, new_sink: Maker, train: Train, caplog: pytest.LogCaptureFixture
) -> None:
    sink = new_sink("http://ann:pa55@127.0.0.1:9")  # nothing listens on the discard port
    sink.start()
    begun = time.perf_counter()
    for value in (0.1, 0.2, 0.3):
        train(value)
    assert time.perf_counter() - begun < 1
    assert sink.flush(30) == ledger.seq
    assert sink.last_error is not None
    assert "pa55" not in sink.last_error + caplog.text + sink.address
    assert sum("cannot be written" in message for message in caplog.messages) == 1
    begun = time.perf_counter()
    assert sink.stop(30) == ledger.seq
    assert time.perf_counter() - begun < 15


def test_a_wrong_uri_is_refused_before_anything_starts(new_sink: Maker) -> None:
    with pytest.raises(InputError, match="tracking URI"):
        new_sink("./mlruns")


def test_the_driver_is_not_held_up_while_rows_are_sent(
    ledger: Ledger, new_sink: Maker, suggest: Train, train: Train
) -> None:
    for _ in range(20):
        train(0.5)
    sink = new_sink()
    number = suggest()
    sink.start()
    slowest = []
    for epoch in range(1, 41):
        begun = time.perf_counter()
        ledger.report(number, epoch, {"valid/mrr": 0.1, "valid/ndcg@10": 0.1})
        slowest.append(time.perf_counter() - begun)
        time.sleep(0.02)
    assert sorted(slowest)[len(slowest) // 2] < 0.02
    assert sink.flush(20) == 0


def test_flush_from_several_threads_and_stop_twice_are_harmless(ledger: Ledger, new_sink: Maker, train: Train) -> None:
    train(0.5)
    sink = new_sink()
    sink.start()
    left: list[int] = []
    threads = [threading.Thread(target=lambda: left.append(sink.flush(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left == [0, 0, 0, 0]
    assert sink.stop(20) == 0
    assert sink.stop(20) == 0
    assert "mlflow ui --backend-store-uri sqlite:///" in sink.address


def test_importing_the_package_does_not_import_mlflow() -> None:
    code = "import sys, searchplat.tracking; sys.exit(any(m in sys.modules for m in ('mlflow', 'matplotlib', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
