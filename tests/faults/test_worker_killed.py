"""`kill -9` of the process under a trial: taken up again, counted apart from bugs, no step twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from interruptions import (
    Whole,
    check_mlflow,
    command,
    diary,
    ledger_path,
    outcome,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_workers_killed_from_outside_cost_no_more_than_the_epoch_they_were_in(tmp_path: Path, whole: Whole) -> None:
    seed = 5
    rng = random.Random(seed)
    write_space(tmp_path, "in turn", 0.5)
    process = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed: list[int] = []  # trials
    begun = 0
    for _ in range(4):
        begun += rng.randint(2, 6)
        wait_until(lambda: len(diary(tmp_path)) >= begun, f"epoch {begun} in all", process, 250)  # noqa: B023
        newest = diary(tmp_path)[-1]
        killed.append(newest.trial)
        os.kill(newest.process, signal.SIGKILL)
        print(f"seed {seed}: killed the worker in epoch {newest.epoch} of trial {newest.trial}")
        begun = len(diary(tmp_path))
    out, err = process.communicate(timeout=280)

    assert process.returncode == 0, out + err
    after = trials_of(tmp_path)
    # A worker between two trials may die unnoticed by either.
    assert all(trial.retries <= Counter(killed)[trial.number] for trial in after)
    assert sum(trial.retries for trial in after) >= 2
    times = Counter((line.trial, line.epoch) for line in diary(tmp_path))
    for trial in after:
        redone = sum(n - 1 for (number, _), n in times.items() if number == trial.number)
        assert redone <= Counter(killed)[trial.number]
    check_mlflow(tmp_path, "space", after)
    assert outcome(after) == whole("in turn")


SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2, x: 0.7, fault_epoch: 1, diary: diary.txt}
search: {fault: {type: categorical, choices: [FAULTS]}}
searcher: {name: grid}
trials: 2
resources: {cpu: 1, gpu: 0, concurrent: 1}
"""


@pytest.mark.by_hand
def test_deaths_are_retried_three_times_and_bugs_not_once(tmp_path: Path) -> None:
    ended = {}
    for fault in ("kill", "raise"):
        space = SPACE.replace("FAULTS", f"{fault}, none").replace("diary.txt", str(tmp_path / "diary.txt"))
        (tmp_path / "space.yaml").write_text(space)
        (tmp_path / "diary.txt").unlink(missing_ok=True)
        done = subprocess.run(command("--name", "space"), capture_output=True, text=True, timeout=280)
        assert done.returncode == (0 if fault == "kill" else 1), done.stdout + done.stderr
        with Ledger.read(ledger_path(tmp_path)) as ledger:
            trial = next(t for t in ledger.trials() if t.values["fault"] == fault)
        tries = sum(line.trial == trial.number for line in diary(tmp_path))
        ended[fault] = (trial.state, trial.retries, tries, (trial.cause or "").strip().splitlines()[-1])
        (tmp_path / "runs" / "space").rename(tmp_path / "runs" / fault)
    assert ended["kill"] == ("failed", 3, 4, "its workers died more often than is retried")
    assert ended["raise"] == ("failed", 0, 1, "RuntimeError: a planted bug")
