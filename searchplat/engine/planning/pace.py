"""How many suggestions to have ready before a slot is free: none while a searcher is quick beside its trials.

A suggestion that is computed ahead knows one trial less, so it is only worth it where slots would stand idle.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

WORTH = 0.05
"""Share of a slot's time that waiting for suggestions may take before they are computed ahead."""

_REST = 3.0
"""Times that a searcher of several at once takes for them, from the start of one computation to that of the next."""

_REMEMBERED = 9
_NEWEST = 5


class Pace:
    """What a suggestion takes and what a trial takes of late, both in seconds of the clock.

    Of suggestions the longest counts, but for one of them: they take ever longer, the more trials there are.
    """

    def __init__(self) -> None:
        self._suggestions: deque[float] = deque(maxlen=_NEWEST)
        self._trials: deque[float] = deque(maxlen=_REMEMBERED)

    def suggested(self, seconds: float) -> None:
        """A suggestion took so long, until it could be handed out."""
        self._suggestions.append(seconds)

    def ended(self, seconds: float) -> None:
        """A trial took so long, from when it was handed out until its slot was free."""
        self._trials.append(seconds)

    def ahead(self, slots: int) -> int:
        """Suggestions to have ready while all slots are busy: as many as become free during the computing of one.

        That number varies about its mean; a deviation more (that of a Poisson process) is kept.

        >>> pace = Pace()
        >>> pace.suggested(1.0), pace.ended(60.0), pace.ahead(slots=8)
        (None, None, 0)
        >>> pace.ended(2.0), pace.ended(2.0), pace.ahead(slots=8)
        (None, None, 6)
        """
        waiting, free = self._freed(slots)
        # Where slots stand idle for longer than a trial takes, only more at a time can keep them busy.
        most = slots if free <= slots else 2 * slots
        return 0 if _lost(waiting, free) < WORTH else min(most, math.ceil(free + math.sqrt(free)))

    def at_once(self, slots: int) -> int:
        """Suggestions to ask for together, of a searcher that makes several in the time of one.

        Where some are computed ahead, as many as become free during the computing of three, so that a searcher computes
        for a third of the time: it shares the interpreter with the loop that serves the trials.

        >>> pace = Pace()
        >>> pace.suggested(2.0), pace.ended(4.0), pace.ahead(slots=64), pace.at_once(slots=64)
        (None, None, 38, 96)
        """
        ahead = self.ahead(slots)
        return max(1, ahead, min(2 * slots, math.ceil(_REST * self._freed(slots)[1])) if ahead else 0)

    def _freed(self, slots: int) -> tuple[float, float]:
        """A suggestion's time in trials' times, and the slots that become free meanwhile; zeros while not known."""
        if not self._suggestions or not self._trials:
            return 0.0, 0.0
        suggestion = sorted(self._suggestions)[-2:][0]
        waiting = suggestion / max(statistics.median(self._trials), 1e-9)
        return waiting, waiting * slots


def _lost(waiting: float, free: float) -> float:
    """The share of a slot's time that is lost if nothing is ready: slots also wait for each other's suggestions.

    That of a queue with one server of constant time (M/D/1).

    Args:
        waiting: A suggestion's time, in trials' times.
        free: Slots that become free during one suggestion.
    """
    return waiting * (1 + free / (2 * (1 - free))) if free < 1 else math.inf
