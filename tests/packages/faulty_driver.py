"""The command line in a process that kills itself at a chosen point, or whose clock is wrong.

    DIE="suggestion 2" CLOCK=-3600 python -m faulty_driver search space.yaml

The kill is SIGKILL, right after the second suggestion was written to the ledger. Everything else is the real thing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from searchplat.cli.app import entry
from searchplat.ledger import Ledger
from searchplat.tracking.recorder import Recorder

POINTS: dict[str, tuple[type, str]] = {
    "suggestion": (Ledger, "suggest"),
    "report": (Ledger, "report"),
    "flush": (Recorder, "_send_trial"),  # MLflow has rows of which the ledger does not know that it has them
}


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
    if clock := os.environ.pop("CLOCK", ""):
        shift_clock(float(clock))
    entry()
