"""One run for the search and one a trial, also after lost answers and people's deletions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from searchplat.ledger import Ledger
from searchplat.tracking import MlflowSink

Maker = Callable[..., MlflowSink]
Train = Callable[..., int]


def send(sink: MlflowSink) -> None:
    sink.start()
    assert sink.stop(30) == 0, sink.last_error


def active_runs(mlflow: Any, name: str) -> list[Any]:
    return list(mlflow.search_runs([mlflow.get_experiment_by_name(name).experiment_id], max_results=1000))


def test_a_run_that_came_into_being_twice_is_kept_once(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    train(0.3)
    send(new_sink())
    # What a server does that carries out a creation after its caller has given up and asked again.
    for run in active_runs(mlflow, name):
        tags = {k: v for k, v in run.data.tags.items() if k.startswith("searchplat.") or k == "mlflow.parentRunId"}
        mlflow.create_run(run.info.experiment_id, start_time=run.info.start_time, tags=tags)
    assert len(active_runs(mlflow, name)) == 4
    ledger.forget_sink("mlflow")
    send(new_sink())
    kinds = Counter(run.data.tags["searchplat.kind"] for run in active_runs(mlflow, name))
    assert kinds == {"search": 1, "trial": 1}
    (trial,) = [run for run in active_runs(mlflow, name) if run.data.tags["searchplat.kind"] == "trial"]
    assert trial.data.metrics["best/valid/mrr"] == 0.3


def test_two_searches_of_one_name_on_one_server_keep_apart(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    train(0.3)
    send(new_sink())
    ledger.set_meta("search_id", "another")  # a second search of this name, from another folder
    ledger.forget_sink("mlflow")
    send(new_sink())
    by_search = Counter(run.data.tags["searchplat.search_id"] for run in active_runs(mlflow, name))
    assert sorted(by_search.values()) == [2, 2]


def test_a_parent_that_a_person_deleted_comes_back_when_the_search_goes_on(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    train(0.3)
    send(new_sink())
    parent = ledger.sink_runs("mlflow")["search"]
    mlflow.delete_run(parent)
    train(0.4)
    send(new_sink())
    assert parent in {run.info.run_id for run in active_runs(mlflow, name)}
    assert len(active_runs(mlflow, name)) == 3


def test_a_store_that_lost_the_parent_gets_everything_again(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    train(0.3)
    send(new_sink())
    before = {run.info.run_id for run in active_runs(mlflow, name)}
    ledger.set_sink_run("mlflow", "search", "0" * 32)  # as if mlflow.db had been deleted and made anew
    sink = new_sink()
    sink.start()
    assert sink.flush(30) == 0
    assert {run.info.run_id for run in active_runs(mlflow, name)} == before
    assert ledger.sink_runs("mlflow")["search"] in before


def test_a_deleted_experiment_is_named_with_its_remedy_and_the_ledger_keeps_all(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, train: Train
) -> None:
    train(0.3)
    send(new_sink())
    experiment = mlflow.get_experiment_by_name(name)
    mlflow.delete_experiment(experiment.experiment_id)
    train(0.4)
    sink = new_sink()
    left = sink.flush(30)
    assert left > 0
    assert sink.last_error is not None
    assert f"mlflow experiments restore --experiment-id {experiment.experiment_id}" in sink.last_error
    mlflow.restore_experiment(experiment.experiment_id)
    assert sink.flush(30) == 0
    assert sink.last_error is None


@pytest.mark.parametrize("size", [1500])
def test_more_than_one_call_can_carry_arrives_whole(
    ledger: Ledger, mlflow: Any, name: str, new_sink: Maker, suggest: Train, size: int
) -> None:
    config = {f"parameter_{i}": i for i in range(130)}
    number = suggest(config=config)
    ledger.start(number)
    ledger.report(number, 1, {f"valid/metric_{i}": float(i) for i in range(size)})
    send(new_sink())
    run = mlflow.get_run(ledger.sink_runs("mlflow")[str(number)])
    assert len(run.data.metrics) == size
    assert len(run.data.params) == 132
