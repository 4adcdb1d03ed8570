"""SIGINT and SIGTERM: epochs under way may end, the exit code says which signal, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from interruptions import (
    TRIALS,
    Whole,
    check_mlflow,
    check_nothing_lost,
    check_redone,
    command,
    diary,
    event_is_there,
    outcome,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.engine.shutdown.shutdown import GRACE_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("number", "way"), [(signal.SIGINT, "in turn"), (signal.SIGTERM, "side by side")], ids=["SIGINT", "SIGTERM"]
)
def test_an_interrupted_search_redoes_nothing_and_ends_as_if_nothing_had_been(
    tmp_path: Path, number: signal.Signals, way: str, whole: Whole
) -> None:
    write_space(tmp_path, way, 0.5)
    first = subprocess.Popen(
        command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(event_is_there(tmp_path, 12), "event 12", first, 250)
    asked = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(first.pid, number)  # as a terminal does, to the workers as well
    else:
        first.terminate()
    out, err = first.communicate(timeout=200)
    print(f"{number.name}: ended {time.monotonic() - asked:.1f} s later; epochs have {GRACE_S:.0f} s to end")

    assert first.returncode == 128 + number, out + err
    assert err.strip().splitlines()[-1] == "interrupted; the same command goes on from here"
    assert "Traceback" not in err
    before = trials_of(tmp_path)
    # Those at work may have been in their last epochs.
    assert {trial.state for trial in before if not trial.state.final} <= {"waiting"}
    assert sum(trial.state.final for trial in before) < TRIALS
    # Every epoch that was begun was reported.
    assert Counter(line.trial for line in diary(tmp_path)) == +Counter({t.number: t.epoch for t in before})

    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    check_nothing_lost(before, after)
    assert check_redone(tmp_path, [before]) == Counter()
    check_mlflow(tmp_path, "space", after)
    assert outcome(after) == whole(way)


@pytest.mark.by_hand
def test_epochs_that_do_not_end_in_the_grace_time_are_redone_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    write_space(tmp_path, "in turn", 600.0)
    process = subprocess.Popen(
        command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: bool(diary(tmp_path)), "the first epoch", process, 250)
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(GRACE_S / 3)  # it waits for the epoch
    asked = time.monotonic()
    process.terminate()
    out, err = process.communicate(timeout=200)
    print(f"ended {time.monotonic() - asked:.1f} s after the second signal")
    assert process.returncode == 128 + signal.SIGTERM, out + err
    assert [(trial.state, trial.epoch) for trial in trials_of(tmp_path)] == [("waiting", 0)]
