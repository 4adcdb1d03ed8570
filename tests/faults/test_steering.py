"""Steering from another process: pause, resume, stop and new numbers of trials, and a driver killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from interruptions import (
    check_mlflow,
    check_nothing_lost,
    check_redone,
    command,
    diary,
    ledger_path,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.ledger import Event, Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def steer(*words: str, rc: int = 0) -> dict[str, Any]:
    """What a command says as JSON, or of an error as `error`."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "searchplat", *words, "--json"], capture_output=True, text=True, timeout=250
    )
    print(f"{' '.join(words)}: {time.monotonic() - begun:.1f} s")
    assert done.returncode == rc, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout) if rc == 0 else {"error": done.stderr}
    return found


def begin(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """A search of two trials at once whose first epochs have begun."""
    write_space(folder, "side by side", seconds)
    process = subprocess.Popen(
        command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: len(diary(folder)) >= 3, "the first epochs", process, 250)
    return process


def events(folder: Path, *kinds: str) -> list[Event]:
    with Ledger.read(ledger_path(folder)) as ledger:
        return [event for event in ledger.events() if event.kind in kinds]


def states(folder: Path) -> Counter[str]:
    return Counter(trial.state.value for trial in trials_of(folder))


def test_a_search_is_paused_changed_resumed_and_stopped_from_outside(tmp_path: Path) -> None:
    driver = begin(tmp_path, 0.5)
    assert steer("pause", "space")["outcome"] == "done"
    wait_until(lambda: not states(tmp_path)["running"], "the end of what ran", driver, 100)
    begun = len(diary(tmp_path))
    assert steer("status", "space")["state"] == "paused"
    time.sleep(3)
    assert len(diary(tmp_path)) == begun, "nothing begins"

    assert steer("set", "space", "stages.weights.trials=8", "concurrent=1")["outcome"] == "done"
    assert steer("resume", "space")["outcome"] == "done"
    wait_until(lambda: bool(states(tmp_path)["running"]), "a trial that goes on", driver, 100)
    (running,) = [trial.number for trial in trials_of(tmp_path) if trial.state == "running"]
    assert steer("stop", "space", "--trial", str(running))["outcome"] == "done"
    assert steer("stop", "space", "--trial", str(running))["outcome"] == "unchanged"
    wait_until(lambda: bool(states(tmp_path)["running"]), "the next trial", driver, 100)
    assert not list((tmp_path / "runs" / "space" / "checkpoints").glob(f"{running:05d}"))

    stopped = steer("stop", "space")
    out, err = driver.communicate(timeout=200)
    assert driver.returncode == 128 + signal.SIGTERM, out + err
    assert stopped["ended"]["state"] == "interrupted"
    assert err.strip().splitlines()[-1] == stopped["ended"]["message"]
    assert stopped["ended"]["message"].startswith("stopped by ")
    before = trials_of(tmp_path)
    assert {trial.state for trial in before if not trial.state.final} <= {"waiting"}
    assert "goes on with it: searchplat search space.yaml" in steer("resume", "space", rc=2)["error"]

    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    check_nothing_lost(before, after)
    assert Counter(trial.stage for trial in after) == {"controls": 1, "layout": 5, "weights": 8}
    assert {trial.number for trial in after if trial.cause == "stopped by hand"} == {running}
    # The epoch that was given up with its trial was not begun again.
    assert check_redone(tmp_path, [before]) == Counter()
    check_mlflow(tmp_path, "space", after)


@pytest.mark.by_hand
def test_requests_to_a_driver_that_is_killed_first_are_carried_out_once_by_the_next(tmp_path: Path) -> None:
    driver = begin(tmp_path, 1.0)
    driver.send_signal(signal.SIGSTOP)  # it hears nothing any more
    open_ = [trial.number for trial in trials_of(tmp_path) if not trial.state.final]
    for words in (
        ("set", "space", "stages.weights.trials=2"), ("set", "space", "stages.weights.trials=3"),
        ("stop", "space", "--trial", str(open_[-1])), ("stop", "space", "--trial", str(open_[-1])),
        ("pause", "space"), ("stop", "space"),
    ):  # fmt: skip
        assert steer(*words, "--no-wait")["outcome"] == "asked"
    assert len(steer("status", "space")["requests"]) == 6
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    (tmp_path / "runs" / "space" / "requests" / "00000000000000000001-0123456789ab.json").write_bytes(b"\xffgarbage")

    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    assert Counter(trial.stage for trial in after)["weights"] == 3
    assert [trial.number for trial in after if trial.cause == "stopped by hand"] == [open_[-1]]
    assert len(events(tmp_path, "set")) == 2
    assert len(events(tmp_path, "stopped")) == 1
    assert len(events(tmp_path, "unchanged")) == 1
    assert len(events(tmp_path, "refused")) == 3, "the garbage, and what was meant for the run that was killed"
    assert events(tmp_path, "paused", "stopping") == []
    assert steer("status", "space")["requests"] == []


@pytest.mark.by_hand
def test_a_search_paused_at_once_and_killed_goes_on_unpaused_and_redoes_nothing(tmp_path: Path) -> None:
    driver = begin(tmp_path, 1.0)
    assert steer("pause", "space", "--now")["outcome"] == "done"
    wait_until(lambda: not states(tmp_path)["running"], "the end of the epochs", driver, 60)
    before = trials_of(tmp_path)
    waiting = [trial for trial in before if trial.state == "waiting"]
    assert waiting
    # Every epoch that was begun was reported.
    assert Counter(line.trial for line in diary(tmp_path)) == +Counter({t.number: t.epoch for t in before})
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()

    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    check_nothing_lost(before, trials_of(tmp_path))
    assert check_redone(tmp_path, [before]) == Counter()
