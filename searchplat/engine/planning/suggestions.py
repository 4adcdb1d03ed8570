"""Computes suggestions in a thread, so that trials are heard meanwhile.

Where trials are so short that slots would wait for suggestions, these are computed ahead, with the running trials
pending (`pace`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from searchplat.engine.planning.pace import Pace
from searchplat.engine.planning.plan import Plan
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.spec.model import StageSpec


class Suggestions:
    """The thinking of a search, one suggestion at a time.

    Args:
        plan: Records them; while a thread is thinking nobody else may ask it for more than what waits.
        shutdown: Nothing more is thought of once it is asked for.
    """

    def __init__(self, plan: Plan, shutdown: Shutdown) -> None:
        self._plan, self._shutdown = plan, shutdown
        self._thread: threading.Thread | None = None
        self.pace = Pace()
        self.error: BaseException | None = None
        """What a suggestion failed for: the search cannot go on."""

    @property
    def under_way(self) -> bool:
        """Whether one is being computed."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, stage: StageSpec, slots: int) -> None:
        """Compute at least one suggestion of a stage, and as many ahead as the pace of `slots` trials asks for.

        Raises:
            Exception: What an earlier one failed for.
        """
        if self.error is not None:
            raise self.error
        self._thread = threading.Thread(target=self._think, args=(stage, slots), name="suggestion", daemon=True)
        self._thread.start()

    def begin_ahead(self, slots: int) -> None:
        """The same while all slots are busy, if the pace asks for any."""
        if self.error is None and not self.under_way and (ask := self._plan.ahead(self.pace.ahead(slots))) is not None:
            self.begin(ask.stage, slots)

    def wait(self, within_s: float) -> None:
        """Wait for what is being computed."""
        if self._thread is not None:
            self._thread.join(within_s)

    def _think(self, stage: StageSpec, slots: int) -> None:
        try:
            while True:
                began = time.monotonic()
                with self._shutdown.guarding():
                    self._plan.suggest(stage, self.pace.at_once(slots))
                self.pace.suggested(time.monotonic() - began)
                if self._shutdown.asked or not self._plan.wants(stage, self.pace.ahead(slots)):
                    break
        except BaseException as error:  # handed to the loop, which ends the search with it
            self.error = error


@contextmanager
def turns() -> Iterator[None]:
    """Within it, a searcher that computes leaves the interpreter to the loop ten times sooner than by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.1 * before)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
