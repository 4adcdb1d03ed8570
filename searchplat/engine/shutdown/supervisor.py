"""Runs what needs Ray in a thread, while the main thread hears signals and sees to it that the command ends.

Calls into Ray may last a minute where its processes have gone, and Python's handlers wait for them; Ray also sets
handlers of its own, but not from such a thread. Whatever does not end in time is left behind: the caller writes down
how things stand, and the process ends, and Ray's own processes with it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar

from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.errors import RayEndedError, SearchplatError
from searchplat.signals import Interrupted, heard

RAY_ENDED = "Ray ended under this command; run the same command again: it goes on from here"
_NAME = "searchplat-work"
_LOOK_S = 0.1
_LOOK_WHILE_CONNECTING_S = 0.005
"""Where a program had imported Ray before us, Ray puts a handler of its own, below Python, in the place of ours: a
signal that comes before we have put ours back ends the process as that handler would."""
_RAY_EVERY_S = 1.0
_RAY_LOOKS = 2
"""Looks in a row that must find Ray gone; the work may notice by itself, and knows more."""

Result = TypeVar("Result")


class Supervisor:
    """Hears signals for the time of a block, in which it attends to work.

    Args:
        shutdown: What the work asks whether to end.
        tell: Told once that the end is under way.
    """

    def __init__(self, shutdown: Shutdown, tell: Callable[[], None]) -> None:
        self._shutdown, self._tell = shutdown, tell
        self._told = False
        self._listen: Callable[[], None] = lambda: None

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Within it, signals go to `shutdown` and raise nothing."""
        with heard(self._shutdown.hear) as self._listen:
            yield

    def run(self, work: Callable[[], Result], *, ray: bool = True) -> Result:
        """The result of `work`, which runs in another thread.

        Args:
            ray: Whether it needs the Ray that this process has started, if it has.

        Raises:
            Interrupted: If a signal came and the work did not end in time, or failed for it.
            RayEndedError: If Ray has ended.
        """
        done: Future[Result] = Future()
        threading.Thread(target=_work, args=(work, done), name=_NAME, daemon=True).start()
        began = looked = time.monotonic()
        missing = 0
        while not _ended(done, _LOOK_WHILE_CONNECTING_S if self._shutdown.connecting else _LOOK_S):
            self._listen()
            self._say()
            if self._shutdown.left_s(began) <= 0:
                break
            if time.monotonic() - looked >= _RAY_EVERY_S:
                missing = missing + 1 if ray and _ray_gone() else 0
                looked = time.monotonic()
            if missing >= _RAY_LOOKS:
                break
        self._say()
        error = done.exception() if done.done() else None
        if done.done() and error is None:
            return done.result()
        # Where a signal reached Ray's processes too, the work may fail for want of them: that is the signal's end.
        spoilt = self._shutdown.signal is not None and isinstance(error, RayEndedError)
        if isinstance(error, SearchplatError) and not spoilt:
            raise error
        if self._shutdown.signal is not None:
            raise Interrupted(self._shutdown.signal)
        if missing:
            raise RayEndedError(RAY_ENDED)
        return done.result()

    def _say(self) -> None:
        if self._shutdown.signal is not None and not self._told:
            self._told = True
            self._tell()


def leave(code: int) -> NoReturn:
    """End the process: as usual, or at once where work was left behind, for which Python would wait."""
    if any(thread.name == _NAME for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    raise SystemExit(code)


def _ray_gone() -> bool:
    # Ray loads late, and not where nothing has come to need it; the other thread may be loading it at this moment.
    gone = getattr(sys.modules.get("searchplat.engine.cluster.connect"), "gone", None)
    return gone is not None and bool(gone())


def _work(work: Callable[[], Result], done: Future[Result]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)


def _ended(done: Future[Result], within_s: float) -> bool:
    with suppress(TimeoutError):
        done.exception(within_s)
    return done.done()
