"""Signals that ask this process to end: SIGINT, SIGTERM, and SIGHUP unless it is ignored, as `nohup` does.

Commands are left by an exception (`raising`). What starts Ray is not: a thread does the work, the main thread hears;
see `searchplat.engine.shutdown.supervisor`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal has asked this process to end, and nothing is lost.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = exit_code(number)


def exit_code(number: int) -> int:
    """As shells have it; a terminal that goes away is a termination like any other.

    >>> [exit_code(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    [130, 143, 143]
    """
    return 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


@contextmanager
def heard(listener: Callable[[int], None]) -> Iterator[Callable[[], None]]:
    """Tell `listener` of every such signal within the block; nothing in another thread than the main one.

    Yields:
        Sets the handlers anew: a library may have put others in their place, Ray even below Python.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def handler(number: int, frame: object) -> None:
        listener(number)

    before = {
        number: signal.getsignal(number)
        for number in ENDING
        if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)
    }

    def listen() -> None:
        for number in before:
            signal.signal(number, handler)

    listen()
    try:
        yield listen
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


def raising() -> None:
    """From now on SIGTERM and SIGHUP raise `Interrupted` in the main thread, as SIGINT raises `KeyboardInterrupt`."""

    def leave(number: int, frame: object) -> None:
        raise Interrupted(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)
