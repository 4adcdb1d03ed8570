"""How a command ends before its plan does: gently after a signal, at once after an error or a bug."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from searchplat.errors import InputError, TryAgainError

GRACE_S = 15.0
"""Seconds that running epochs get to end after a signal; schedulers of clusters kill after 30."""
LEAVE_S = 5.0
"""Seconds after that in which whatever is still at work may end in good order, before it is left behind."""


class Shutdown:
    """The wish to end, and whether it is time.

    A signal handler sets it, so it is plain attributes without a lock; the driver's threads read it.

    Args:
        grace_s: Seconds that epochs under way get to end and to be reported.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._deadline: float | None = None
        self._heard = 0
        self.signal: int | None = None
        """The first signal that asked for the end."""
        self.by: str | None = None
        """Who asked in place of a signal, by a request."""
        self.under_way = False
        """Whether epochs may be under way, so that a grace time makes sense."""
        self.connecting = False
        """Whether Ray is starting: nothing of the search is under way yet, and nothing is worth waiting for."""
        self.error: TryAgainError | InputError | None = None
        """Why nothing more can be done: no space is left on a disk now, or the input is wrong for all trials."""

    @property
    def asked(self) -> bool:
        """Whether to begin nothing new."""
        return self._deadline is not None

    def hear(self, number: int) -> None:
        """A signal: the first ends gently, the second at once, the third leaves everything as it is."""
        self._heard += 1
        self.signal = self.signal or number
        if self._heard == 1 and self.under_way:
            self.gently()
        else:
            self.at_once()

    def gently(self) -> None:
        """End once every epoch under way has been reported, at the latest after the grace time."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._grace_s

    def at_once(self, error: TryAgainError | InputError | None = None) -> None:
        """End now. The first error is kept."""
        now = time.monotonic()
        self._deadline = now if self._deadline is None else min(now, self._deadline)
        self.error = self.error or error

    def no_more(self) -> None:
        """Nothing is under way any more that needs the rest of a grace time."""
        self.under_way = False
        if self._deadline is not None:
            self._deadline = min(time.monotonic(), self._deadline)

    def due(self, trials_at_work: int) -> bool:
        """Whether to end now."""
        return self._deadline is not None and (trials_at_work == 0 or time.monotonic() >= self._deadline)

    def left_s(self, began: float) -> float:
        """Seconds until work that has not ended after a signal is left behind; infinite before one came.

        Args:
            began: When the work did, by the monotonic clock: what begins after the end was due may still be brief.
        """
        if self.signal is None or self._deadline is None:
            return float("inf")
        if self._heard > 2 or self.connecting:
            return 0.0
        return max(0.0, max(self._deadline, began) + LEAVE_S - time.monotonic())

    @contextmanager
    def while_connecting(self) -> Iterator[None]:
        """Within it, a signal ends the command at once.

        A signal to the whole group ends Ray's processes too, and Ray's own code then ends this one with exit code 1 as
        soon as it notices.
        """
        self.connecting = True
        try:
            yield
        finally:
            self.connecting = False

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Keeps a `TryAgainError` raised within: the command ends with it, and what follows the block runs on."""
        try:
            yield
        except TryAgainError as error:
            self.at_once(error)
