"""`kill -9` of the driver, then the same command: nothing lost, nothing run twice, MLflow in step."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import mlflow
import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 4, seconds: 0.15, diary: diary.txt}
search:
  layout: {type: layout, layers: 3, per_layer: [causal, context, recommend], choices: [serial, parallel]}
  x: {type: float, low: 0.0, high: 1.0}
stages:
  - {name: layout, over: [layout], searcher: {name: random}, trials: 5}
  - {name: weights, over: [x], searcher: {name: tpe}, trials: 5, from: {stage: layout, top: 1}}
controls:
  - {name: default}
scheduler: {name: asha, grace: 2, reduction: 2}
resources: {cpu: 1, gpu: 0}
"""
TRIALS = 11
COMMAND = (sys.executable, "-m", "searchplat", "search", "space.yaml", "--name", "killed")


@pytest.mark.parametrize(
    "seed", [pytest.param(0), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_the_same_command_goes_on_where_the_driver_was_killed(tmp_path: Path, seed: int) -> None:
    space = SPACE.replace("diary.txt", str(tmp_path / "diary.txt"))
    (tmp_path / "space.yaml").write_text(space)
    ledger_path = tmp_path / "runs" / "killed" / "ledger.sqlite"
    kill_at = random.Random(seed).randrange(8, 55)
    print(f"seed {seed}: killing the driver after event {kill_at}")

    first = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
    _wait_for_event(ledger_path, kill_at, first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    with Ledger.read(ledger_path) as ledger:
        before = ledger.trials()
    diary_before = _diary(tmp_path)

    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr

    with Ledger.read(ledger_path) as ledger:
        after = ledger.trials()
        reports = Counter((report.trial, report.epoch) for report in ledger.reports())
    assert len(after) == TRIALS
    assert all(trial.state.final for trial in after)
    assert set(reports.values()) == {1}

    # Nothing suggested, reported or finished was lost.
    for old, new in zip(before, after, strict=False):
        assert (old.values, old.seed, old.stage) == (new.values, new.seed, new.stage)
        assert new.epoch >= old.epoch
        if old.state.final:
            assert new == old

    # Finished trials did not run again; of a running one at most one epoch was redone.
    ran = _diary(tmp_path)
    running = {trial.number for trial in before if trial.state is TrialState.RUNNING}
    redone = Counter(trial for (trial, _), times in ran.items() for _ in range(times - 1))
    assert set(redone) <= running
    assert all(times <= 1 for times in redone.values()), redone
    for trial in before:
        if trial.state.final:
            assert {key: n for key, n in ran.items() if key[0] == trial.number} == {
                key: n for key, n in diary_before.items() if key[0] == trial.number
            }

    runs = mlflow.search_runs(
        experiment_names=["killed"],
        filter_string="tags.`searchplat.kind` = 'trial'",
        output_format="list",
    )
    assert sorted(int(run.data.tags["searchplat.trial"]) for run in runs) == list(range(TRIALS))
    assert {run.info.status for run in runs} == {"FINISHED"}
    parents = mlflow.search_runs(
        experiment_names=["killed"], filter_string="tags.`searchplat.kind` = 'search'", output_format="list"
    )
    assert [run.info.status for run in parents] == ["FINISHED"]
    states = {int(run.data.tags["searchplat.trial"]): run.data.tags["searchplat.state"] for run in runs}
    assert states == {trial.number: trial.state for trial in after}


def _wait_for_event(path: Path, seq: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the search ended before it could be killed"
        if path.exists():
            with Ledger.read(path) as ledger:
                if ledger.seq >= seq:
                    return
        time.sleep(0.02)
    raise AssertionError(f"event {seq} did not come")


def _diary(tmp_path: Path) -> Counter[tuple[int, int]]:
    path = tmp_path / "diary.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter((int(trial), int(epoch)) for trial, epoch in (line.split() for line in lines))
