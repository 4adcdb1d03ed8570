"""The command line in a process that kills itself or stands still at a chosen point, or whose clock is wrong.

    DIE="suggestion 2" CLOCK=-3600 python -m faulty_driver search space.yaml
    HOLD="suggestion 2" python -m faulty_driver search space.yaml

The kill is SIGKILL, right after the second suggestion was written to the ledger. Who holds makes a file `held` and
sleeps for ten minutes before the second suggestion. Everything else is the real thing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from searchplat.cli.app import entry
from searchplat.ledger import Ledger
from searchplat.tracking.sending.recorder import Recorder

POINTS: dict[str, tuple[type, str]] = {
    "suggestion": (Ledger, "suggest"),
    "report": (Ledger, "report"),
    "flush": (Recorder, "_send_trial"),  # MLflow has rows of which the ledger does not know that it has them
}


HOLDS = {
    "prepare": ("searchplat.engine.search", "prepare"),  # data and weights are fetched
    "suggestion": ("searchplat.engine.planning.plan", "Plan.suggest"),  # the searcher computes
    "flush": ("searchplat.tracking.sending.recorder", "Recorder._send_trial"),  # MLflow does not answer
    "shutdown": ("ray", "shutdown"),
}


def hold_before(point: str, times: int) -> None:
    """Stand still for ten minutes before the `times`-th call."""
    module, path = HOLDS[point]
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for inner in classes:
        owner = getattr(owner, inner)
    call: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def holding(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == times:
            Path("held").touch()
            time.sleep(600)
        return call(*arguments, **named)

    setattr(owner, name, holding)


def die_after(point: str, times: int) -> None:
    """Kill this process at the end of the `times`-th call."""
    owner, name = POINTS[point]
    call: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        result = call(*arguments, **named)
        calls += 1
        if calls == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def shift_clock(seconds: float) -> None:
    """Let this process's wall clock be wrong; clocks that only measure are left alone."""
    right = time.time
    time.time = lambda: right() + seconds


if __name__ == "__main__":
    if die := os.environ.pop("DIE", ""):
        where, count = die.split()
        die_after(where, int(count))
    if hold := os.environ.pop("HOLD", ""):
        where, count = hold.split()
        hold_before(where, int(count))
    if clock := os.environ.pop("CLOCK", ""):
        shift_clock(float(clock))
    entry()
