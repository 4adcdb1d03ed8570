"""A signal at any moment, to the driver alone or to more: the command ends in time, and goes on to the same result.

    moment (what the driver is doing)  x  receiver (whom the signal reaches)  ->  seconds, exit code, ledger

A moment is a fault of `faulty_driver` where the driver would be past it too soon: it stands still there. `group` is
what a terminal, `timeout` and `kill -- -PGID` do, `all` what systemd and Slurm do: every process, Ray's own too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from interruptions import (
    Whole,
    command,
    environment,
    event_is_there,
    ledger_path,
    outcome,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.engine.shutdown.shutdown import GRACE_S, LEAVE_S
from searchplat.ledger import Ledger

BUSY_S = 5.0
"""What a busy machine may take for the end itself."""
SOON_S = 2 * LEAVE_S + BUSY_S
"""Nothing that could be reported is under way: Ray, and MLflow after it, get their time to end."""
GRACE_TOO_S = GRACE_S + SOON_S
NO_LEDGER_YET = "prepare"
ENDLESS = "an epoch without an end"

BY_RAY = "Failed to register worker to Raylet"
"""Said by Ray below Python as it ends the driver, whose processes the signal has ended too, with exit code 1: for the
half second in which it builds the driver's worker it holds the interpreter, so that no handler of ours can run."""

# moment: (HOLD, seconds an epoch, way, longest)
MOMENTS = {
    "prepare": ("prepare 1", 0.0, "in turn", BUSY_S),
    "ray starts": ("", 0.0, "in turn", SOON_S),
    "ray starts, 3 s later": ("", 0.0, "in turn", SOON_S),
    "first suggestion": ("suggestion 1", 0.0, "in turn", SOON_S),
    "suggestion, one slot": ("suggestion 4", 0.0, "in turn", SOON_S),
    "suggestion, another trains": ("suggestion 4", 0.5, "side by side", GRACE_TOO_S),
    "short epochs": ("", 0.5, "in turn", SOON_S),
    ENDLESS: ("", 0.0, "in turn", GRACE_TOO_S),
    "mlflow hangs": ("flush 1", 0.5, "in turn", SOON_S),
    "last flush": ("flush 1", 0.0, "in turn", SOON_S),
    "ray ends": ("shutdown 1", 0.0, "in turn", SOON_S),
}


def _driver(process: subprocess.Popen[Any], number: int) -> None:
    process.send_signal(number)


def _group(process: subprocess.Popen[Any], number: int) -> None:
    os.killpg(process.pid, number)


def _all(process: subprocess.Popen[Any], number: int) -> None:
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        try:
            one.send_signal(number)
        except psutil.NoSuchProcess:
            continue


RECEIVERS = {"driver": _driver, "group": _group, "all": _all}

EVERY_DAY = {("prepare", "driver", signal.SIGHUP), ("ray starts", "group", signal.SIGTERM)}
EVERY_RUN = {"ray starts, 3 s later", "suggestion, one slot", ENDLESS, "last flush"}
"""Short epochs are test_interrupted's."""
CASES = [
    *((moment, who, signal.SIGTERM) for moment in MOMENTS for who in ("driver", "group")),
    *((moment, "driver", signal.SIGINT) for moment in ("prepare", "ray starts", "first suggestion", "last flush")),
    *((moment, "all", signal.SIGTERM) for moment in ("ray starts, 3 s later", "short epochs", ENDLESS)),
    ("prepare", "driver", signal.SIGHUP),
    ("short epochs", "group", signal.SIGHUP),
]


def _marks(*case: Any) -> list[pytest.MarkDecorator]:
    if case in EVERY_DAY:
        return []
    # The whole table takes a quarter of an hour.
    kept = case[0] in EVERY_RUN and case[1:] == ("group", signal.SIGTERM)
    return [pytest.mark.slow] if kept else [pytest.mark.slow, pytest.mark.by_hand]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("moment", "who", "number"),
    [
        pytest.param(moment, who, number, id=f"{moment}-{who}-{number.name}", marks=_marks(moment, who, number))
        for moment, who, number in CASES
    ],
)
def test_a_search_ends_in_time_and_goes_on(
    tmp_path: Path, moment: str, who: str, number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    hold, seconds, way, longest_s = MOMENTS[moment]
    space = write_space(tmp_path, way, seconds)
    if moment == ENDLESS:
        space.write_text(space.read_text().replace("fixed: {", "fixed: {fault: hang-once, "))
    out = tmp_path / "out"
    with out.open("w") as file:
        process = subprocess.Popen(
            command(faulty=True), env=environment(HOLD=hold), stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(moment, tmp_path, process, out)
        asked = time.monotonic()
        RECEIVERS[who](process, number)
        code = process.wait(longest_s + 60)
        took = time.monotonic() - asked
    finally:
        process.kill()
        process.wait()
    print(f"{moment}, {who}, {number.name}: ended with {code} after {took:.1f} s")

    said = out.read_text()
    by_ray = moment.startswith("ray starts") and who != "driver" and code == 1 and BY_RAY in said
    assert by_ray or code == 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM), said
    assert took <= longest_s, said
    assert "Traceback" not in said
    assert "*** SIG" not in said, "Ray's own handler"
    if moment != NO_LEDGER_YET and not by_ray:
        _check_closed(tmp_path)
    if request.node.get_closest_marker("slow") is None:
        return
    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    whole: Whole = request.getfixturevalue("whole")
    assert outcome(trials_of(tmp_path)) == whole(way)


def _wait_for(moment: str, folder: Path, process: subprocess.Popen[Any], out: Path) -> None:
    true: Callable[[], bool]
    match moment:
        case "ray starts" | "ray starts, 3 s later":
            wait_until(lambda: "starting Ray" in out.read_text(), "the start of Ray", process, 100)
            time.sleep(3.0 * ("later" in moment))
            return
        case "short epochs":
            true = event_is_there(folder, 12)
        case "an epoch without an end":
            true = (ledger_path(folder).parent / "checkpoints" / "hung").exists
        case "last flush":
            true = lambda: (folder / "held").exists() and _closed(folder)  # noqa: E731
        case _:
            true = (folder / "held").exists
    wait_until(true, moment, process, 250)
    time.sleep(0.5)  # whatever waits for it is waiting now


def _notes(folder: Path) -> list[str]:
    if not ledger_path(folder).exists():
        return []
    with Ledger.read(ledger_path(folder)) as ledger:
        return [event.kind for event in ledger.events(0, 10_000) if event.kind in ("opened", "closed")]


def _closed(folder: Path) -> bool:
    return _notes(folder)[-1:] == ["closed"]


def _check_closed(folder: Path) -> None:
    assert _closed(folder), _notes(folder)
    assert {trial.state for trial in trials_of(folder) if not trial.state.final} <= {"waiting"}


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_ray_that_is_ended_alone_ends_its_search_with_75_and_it_goes_on(
    tmp_path: Path, name: str, whole: Whole
) -> None:
    write_space(tmp_path, "in turn", 0.5)
    process = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(event_is_there(tmp_path, 12), "event 12", process, 250)
    asked = time.monotonic()
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.name() == name:
            child.terminate()
    out, err = process.communicate(timeout=200)
    print(f"{name}: ended after {time.monotonic() - asked:.1f} s")
    assert process.returncode == 75, out + err
    assert time.monotonic() - asked <= SOON_S + 30.0  # MLflow, which nobody wants to end, gets its own time
    _check_closed(tmp_path)
    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcome(trials_of(tmp_path)) == whole("in turn")
