"""`kill -9` of the driver in final training, then the same command: finished seeds are not trained again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import mlflow
import pytest
from promotions import ended_search, sasrec_spec

from searchplat.engine.shutdown.shutdown import LEAVE_S
from searchplat.promotion.record import FINAL, FINISHED, Promotion, load_promotion

COMMAND = (sys.executable, "-m", "searchplat", "promote", "killed", "--race", "0", "--top", "1", "--seeds", "3")
FINALS = 9


@pytest.mark.slow
def test_the_same_command_goes_on_where_the_promotion_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    folder = ended_search(Path("runs"), "killed", sasrec_spec(epochs=60, patience=60))

    first = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
    _wait_until_some_are_finished(folder.path, first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = load_promotion(folder.path)
    kept = {run.key: run for run in before.runs if run.state == FINISHED}
    assert 2 <= len(kept) < FINALS
    written = {key: (run.folder / "ranks.npy").stat().st_mtime_ns for key, run in kept.items()}

    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on with promotion 1 of killed" in done.stdout
    after = load_promotion(folder.path)
    assert Counter(run.state for run in after.runs) == {FINISHED: FINALS}
    for run in after.runs:
        assert run.phase == FINAL
        if run.key in kept:
            assert run == kept[run.key]
            assert (run.folder / "ranks.npy").stat().st_mtime_ns == written[run.key]
    # Whatever was being tested when the kill came may have been opened twice, and is counted twice.
    assert FINALS <= after.test_openings <= FINALS + 2

    # Absolute: MLflow keeps the store that a relative address meant in an earlier folder.
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    finals = mlflow.search_runs(
        experiment_names=["killed"], filter_string="tags.`searchplat.kind` = 'final'", output_format="list"
    )
    assert {run.info.status for run in finals} == {"FINISHED"}
    keys = Counter((run.data.tags["searchplat.candidate"], run.data.tags["searchplat.seed"]) for run in finals)
    assert keys == {(run.candidate, str(run.seed)): 1 for run in after.runs}
    for model in mlflow.MlflowClient().search_registered_models():
        assert len(mlflow.MlflowClient().search_model_versions(f"name = '{model.name}'")) == 1


def _wait_until_some_are_finished(folder: Path, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert process.poll() is None, "the promotion ended before it could be killed"
        try:
            promotion: Promotion | None = load_promotion(folder)
        except Exception:
            promotion = None
        if promotion is not None and sum(run.state == FINISHED for run in promotion.runs) >= 2:
            return
        time.sleep(0.02)
    raise AssertionError("no final run ended")


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "group"),
    [
        ("ray starts", True),
        ("training", False),
        pytest.param("ray starts", False, marks=pytest.mark.by_hand),
        pytest.param("training", True, marks=pytest.mark.by_hand),
    ],
    ids=["ray starts-group", "training-driver", "ray starts-driver", "training-group"],
)
def test_sigterm_leaves_in_good_order_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, group: bool
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    folder = ended_search(Path("runs"), "killed", sasrec_spec(epochs=60, patience=60))
    said = tmp_path / "said"
    with said.open("w") as file:
        process = subprocess.Popen(COMMAND, stdout=file, stderr=subprocess.PIPE, text=True, start_new_session=True)
    if moment == "training":
        _wait_until_some_are_finished(folder.path, process)
    while "starting Ray" not in said.read_text():
        time.sleep(0.02)
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGTERM) if group else process.terminate()
    _, err = process.communicate(timeout=60)
    took = time.monotonic() - asked
    print(f"{moment}, {'group' if group else 'driver'}: ended after {took:.1f} s")
    assert took <= 2 * LEAVE_S + 5.0
    assert process.returncode == 128 + signal.SIGTERM, err
    assert err.strip() == "interrupted; the same command goes on from here"
    assert "chosen on validation" not in said.read_text()
    states = Counter(run.state for run in load_promotion(folder.path).runs)
    assert 2 * (moment == "training") <= states[FINISHED] < FINALS

    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {run.state for run in load_promotion(folder.path).runs} == {FINISHED}


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_ray_that_ends_under_it_is_no_bug_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    folder = ended_search(Path("runs"), "killed", sasrec_spec(epochs=60, patience=60))
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_until_some_are_finished(folder.path, process)
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.name() == "raylet":
            child.kill()
    out, err = process.communicate(timeout=150)
    assert process.returncode == 75, out + err
    assert "run the same command again" in err
    kept = {run.key for run in load_promotion(folder.path).runs if run.state == FINISHED}
    assert len(kept) >= 2
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {run.state for run in load_promotion(folder.path).runs} == {FINISHED}
