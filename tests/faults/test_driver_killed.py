"""`kill -9` of the driver, then the same command: nothing lost, nothing run twice, MLflow in step, the same best."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from interruptions import (
    TRIALS,
    Whole,
    check_mlflow,
    check_nothing_lost,
    check_redone,
    command,
    environment,
    event_is_there,
    ledger_path,
    outcome,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.ledger import Ledger, TrialRecord
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect


@pytest.mark.slow
def test_the_same_command_goes_on_where_the_driver_was_killed(tmp_path: Path) -> None:
    seed = 0
    kill_at = random.Random(seed).randrange(8, 45)
    print(f"seed {seed}: killing the driver after event {kill_at}")
    write_space(tmp_path, "side by side", 0.15)
    first = subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
    wait_until(event_is_there(tmp_path, kill_at), f"event {kill_at}", first, 200)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = trials_of(tmp_path)

    done = subprocess.run(command(), capture_output=True, text=True, timeout=200)

    assert done.returncode == 0, done.stderr
    _check(tmp_path, [before])


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "way"),
    [
        (1, "in turn"),
        (3, "side by side"),
        pytest.param(2, "in turn", marks=pytest.mark.by_hand),
        pytest.param(4, "side by side", marks=pytest.mark.by_hand),
    ],
)
def test_killed_five_times_at_points_of_its_own_life_a_search_ends_as_if_nothing_had_been(
    tmp_path: Path, seed: int, way: str, whole: Whole
) -> None:
    rng = random.Random(seed)
    # The flush comes last: MLflow gets its rows from a thread, which on a busy machine falls behind the search.
    points = [*rng.sample(["suggestion", "report"], 2), *rng.choices(["suggestion", "report"], k=2), "flush"]
    write_space(tmp_path, way, 0.05)
    connect(Address.parse(f"sqlite:///{tmp_path}/mlflow.db"))  # else the first kills fall into its making
    interruptions = []
    for point in points:
        times = rng.randint(1, {"suggestion": 2, "report": 5, "flush": 1}[point])
        print(f"seed {seed}, {way}: killing the driver right after {point} {times}")
        killed = subprocess.run(
            command(faulty=True), env=environment(DIE=f"{point} {times}"), capture_output=True, text=True, timeout=200
        )
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        with Ledger.read(ledger_path(tmp_path)) as ledger:
            assert ledger.select("PRAGMA integrity_check") == [("ok",)]
            interruptions.append(ledger.trials())

    done = subprocess.run(command(), capture_output=True, text=True, timeout=200)

    assert done.returncode == 0, done.stderr
    _check(tmp_path, interruptions)
    assert outcome(trials_of(tmp_path)) == whole(way)


def _check(folder: Path, interruptions: list[list[TrialRecord]]) -> None:
    after = trials_of(folder)
    assert len(after) == TRIALS
    assert all(trial.state.final for trial in after)
    for before in interruptions:
        check_nothing_lost(before, after)
    redone = check_redone(folder, interruptions)
    print(f"{len(interruptions)} kills: {sum(redone.values())} epochs redone")
    with Ledger.read(ledger_path(folder)) as ledger:
        for trial in after:
            assert [report.epoch for report in ledger.reports(trial.number)] == list(range(1, trial.epoch + 1))
    check_mlflow(folder, "space", after)
