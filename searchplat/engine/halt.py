"""How an experiment ends before its plan does: gently after a signal, at once after an error or a bug."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from searchplat.errors import InputError, TryAgainError

GRACE_S = 15.0
"""Seconds that running epochs get to end after SIGINT or SIGTERM; schedulers of clusters kill after 30."""


class Halt:
    """The wish to end, and whether it is time.

    A signal handler sets it, so it is plain attributes without a lock; the driver's main thread reads it.

    Args:
        grace_s: Seconds that epochs under way get to end and to be reported.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._deadline: float | None = None
        self.error: TryAgainError | InputError | None = None
        """Why nothing more can be done: no space is left on a disk now, or the input is wrong for all trials."""

    @property
    def asked(self) -> bool:
        """Whether to begin nothing new."""
        return self._deadline is not None

    def gently(self) -> None:
        """End once every epoch under way has been reported, at the latest after the grace time."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._grace_s

    def at_once(self, error: TryAgainError | InputError | None = None) -> None:
        """End now. The first error is kept."""
        self._deadline = time.monotonic()
        self.error = self.error or error

    def due(self, trials_at_work: int) -> bool:
        """Whether to end now."""
        return self._deadline is not None and (trials_at_work == 0 or time.monotonic() >= self._deadline)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Within it, an error of the moment is kept and ends the experiment.

        Tune must not see it: it would take it for a failure of the trial, and run that again.
        """
        try:
            yield
        except TryAgainError as error:
            self.at_once(error)
