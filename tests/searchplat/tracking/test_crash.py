"""kill -9 of the process that sends, at the worst moments: no run twice, no row twice, nothing left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.tracking import MlflowSink

SENDER = """
import os, signal, sys
from pathlib import Path
from searchplat.ledger import Ledger
from searchplat.tracking import MlflowSink

path, uri, name, point, after = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])

class Dying(Ledger):
    # Dies where MLflow has acknowledged something and the ledger does not know it yet.
    calls = 0
    def dies_at(self, here):
        if here == point:
            Dying.calls += 1
            if Dying.calls == after:
                os.kill(os.getpid(), signal.SIGKILL)
    def set_sink_run(self, sink, key, run):
        self.dies_at("run known to MLflow alone")
        super().set_sink_run(sink, key, run)
    def set_cursor(self, sink, seq):
        if sink == "mlflow":
            self.dies_at("rows known to MLflow alone")
        super().set_cursor(sink, seq)

with Dying.open(path) as ledger:
    sink = MlflowSink(ledger, experiment=name, tracking_uri=uri, space_text="x: 1", space_name="x.yaml", every_s=0.05)
    sink.start()
    sink.stop(60)
"""

Train = Callable[..., int]


def send_and_die(ledger: Ledger, store: str, name: str, point: str, after: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", SENDER, str(ledger.path), store, name, point, str(after)]
    return subprocess.Popen(arguments)


def check_complete(ledger: Ledger, mlflow: Any, name: str) -> None:
    """MLflow has exactly what the ledger has."""
    experiment = mlflow.get_experiment_by_name(name)
    runs = mlflow.search_runs([experiment.experiment_id], max_results=1000)
    kinds = Counter(run.data.tags["searchplat.kind"] for run in runs)
    assert kinds == {"search": 1, "trial": len(ledger.trials())}
    assert {run.info.status for run in runs} == {"FINISHED"}
    by_number = {int(run.data.tags["searchplat.trial"]): run for run in runs if "searchplat.trial" in run.data.tags}
    assert sorted(by_number) == [trial.number for trial in ledger.trials()]
    for trial in ledger.trials():
        run = by_number[trial.number]
        assert run.data.params["seed"] == str(trial.seed)
        for key, metric in (("valid/mrr", "valid/mrr"), ("valid/ndcg_at_10", "valid/ndcg@10")):
            rows = mlflow.get_metric_history(run.info.run_id, key)
            reports = ledger.reports(trial.number)
            assert [(row.step, row.value) for row in rows] == [(r.epoch, r.metrics[metric]) for r in reports]


@pytest.mark.parametrize(
    ("point", "after"),
    [
        pytest.param("run known to MLflow alone", 1, marks=pytest.mark.slow),
        ("run known to MLflow alone", 4),
        ("rows known to MLflow alone", 1),
    ],
)
def test_a_sender_killed_between_mlflow_and_the_ledger_is_continued_without_doubles(
    ledger: Ledger,
    store: str,
    name: str,
    mlflow: Any,
    new_sink: Callable[..., MlflowSink],
    train: Train,
    suggest: Train,
    point: str,
    after: int,
) -> None:
    ledger.note("opened", {"resumed": False})
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        train(value)
    half = suggest()
    ledger.start(half)
    ledger.report(half, 1, {"valid/mrr": 0.1, "valid/ndcg@10": 0.1})
    process = send_and_die(ledger, store, name, point, after)
    assert process.wait(60) == -signal.SIGKILL
    assert ledger.cursor("mlflow") == 0

    ledger.note("opened", {"resumed": True})
    ledger.requeue(half)
    ledger.start(half)
    ledger.report(half, 2, {"valid/mrr": 0.2, "valid/ndcg@10": 0.2})
    ledger.end(half, TrialState.FINISHED)
    train(0.6)
    ledger.note("closed", {"state": "done"})
    sink = new_sink()
    sink.start()
    assert sink.stop(30) == 0
    check_complete(ledger, mlflow, name)


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_sender_killed_again_and_again_at_any_time_is_continued_without_doubles(
    ledger: Ledger, store: str, name: str, mlflow: Any, new_sink: Callable[..., MlflowSink], train: Train
) -> None:
    ledger.note("opened", {})
    for number in range(300):
        train((number + 1) / 1000)
    for kill in range(4):
        process = send_and_die(ledger, store, name, "never", 0)
        before = len(ledger.sink_runs("mlflow"))
        deadline = time.monotonic() + 60
        while len(ledger.sink_runs("mlflow")) <= before + 7 * kill and time.monotonic() < deadline:
            time.sleep(0.003)
        time.sleep(0.05 * kill)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL, "sent everything before it was killed: give it more to do"
    ledger.note("closed", {"state": "done"})
    sink = new_sink()
    sink.start()
    assert sink.stop(120) == 0
    check_complete(ledger, mlflow, name)


@pytest.mark.slow
def test_a_store_killed_while_it_was_made_is_made_again(tmp_path: Path, ledger: Ledger, name: str) -> None:
    # Killed as soon as the half-made database has its first table; MLflow's own opening never recovers from that.
    path = tmp_path / "fresh" / "mlflow.db"
    process = send_and_die(ledger, f"sqlite:///{path}", name, "never", 0)
    half = path.with_name("mlflow.db.new")
    deadline = time.monotonic() + 60
    while not (half.exists() and half.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait(10)
    assert half.exists()
    assert not path.exists()
    assert send_and_die(ledger, f"sqlite:///{path}", name, "never", 0).wait(60) == 0
    assert path.exists()
    assert not half.exists()
