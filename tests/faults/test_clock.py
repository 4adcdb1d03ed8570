"""The clock goes back an hour while a search is away: order is that of the ledger's sequence numbers."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from interruptions import (
    Whole,
    check_mlflow,
    check_nothing_lost,
    check_redone,
    command,
    environment,
    ledger_path,
    outcome,
    trials_of,
    write_space,
)

from searchplat.ledger import Ledger

HOUR = 3600


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_resumed_an_hour_before_it_was_killed_goes_on_where_it_was(tmp_path: Path, whole: Whole) -> None:
    write_space(tmp_path, "in turn", 0.05)
    killed = subprocess.run(
        command(faulty=True), env=environment(DIE="report 9"), capture_output=True, text=True, timeout=250
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    before = trials_of(tmp_path)
    last = _newest(tmp_path)
    (open_trial,) = [trial.number for trial in before if not trial.state.final]

    # The driver's clock alone, which is the one that the ledger and MLflow's rows have.
    done = subprocess.run(
        command(faulty=True), env=environment(CLOCK=str(-HOUR)), capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with Ledger.read(ledger_path(tmp_path)) as ledger:
        events = ledger.events(after=last, limit=10_000)
        earlier = ledger.events(limit=last)
    assert events[0].kind == "opened"
    assert all(event.at < earlier[0].at for event in events)
    print(f"{len(events)} events after the resume, all {(earlier[-1].at - events[0].at) / 60:.0f} min before the last")
    assert next(event.trial for event in events if event.kind == "started") == open_trial
    after = trials_of(tmp_path)
    check_nothing_lost(before, after)
    check_redone(tmp_path, [before])
    check_mlflow(tmp_path, "space", after)
    assert outcome(after) == whole("in turn")


def _newest(folder: Path) -> int:
    with Ledger.read(ledger_path(folder)) as ledger:
        return ledger.seq
