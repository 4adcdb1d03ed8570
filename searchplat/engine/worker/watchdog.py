"""Ends a process whose trial is silent for too long, and leaves the place at which it hangs."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

TIMEOUT_TRACE = "timeout.txt"
"""A trial that was silent for too long leaves the stacks of its threads in this file of its folder."""

_TELL_S = 30.0


def trace_of(rank: int) -> str:
    """The same for each of several processes that train a trial together."""
    return TIMEOUT_TRACE if rank == 0 else f"timeout-{rank}.txt"


class Watchdog:
    """Ends the process if the block takes too long: a C thread, so that a busy loop in C cannot hold it off.

    Args:
        trace: Where the stacks go.
        timeout_s: Seconds that the block may take; None for no limit.
        tell: Takes the stacks off this machine. That needs Python: where a loop in C holds the interpreter's lock, the
            process ends half a minute later without.
    """

    def __init__(self, trace: Path, timeout_s: float | None, tell: Callable[[Path], None] | None = None) -> None:
        self._trace, self._timeout_s, self._tell = trace, timeout_s, tell
        self._file: Any = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        if self._timeout_s is not None:
            self._trace.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._trace.open("w")
            hard_s = self._timeout_s
            if self._tell is not None:
                self._timer = threading.Timer(self._timeout_s, self._end, [self._tell])
                self._timer.daemon = True
                self._timer.start()
                hard_s += _TELL_S
            faulthandler.dump_traceback_later(hard_s, exit=True, file=self._file)

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._file is not None:
            faulthandler.cancel_dump_traceback_later()
            self._file.close()
            self._trace.unlink(missing_ok=True)

    def _end(self, tell: Callable[[Path], None]) -> None:
        faulthandler.dump_traceback(self._file)
        with suppress(Exception):  # then the trial hangs once more, elsewhere
            tell(self._trace)
        os._exit(1)
