"""Sends notices beside the loop: it reads the ledger like anybody who looks on, and nobody waits for a receiver.

Each receiver has a thread and room for one notice: one that waits while a newer one comes is not worth sending any
more. At the end of a search the last notice gets a few seconds, and is then left behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from searchplat.engine.monitor import RunInfo, SearchOutcome
from searchplat.ledger.ranking import Lead
from searchplat.notify.notices import BEST, Notice, best_notice, end_notice
from searchplat.notify.receivers import TIMEOUT_S, NotDeliveredError, Receiver
from searchplat.redaction import redact
from searchplat.signals import exit_code
from searchplat.views.snapshot import Snapshot, take

_LOOK_S = 0.5
_RETRY_S = 1.0
PAUSE_S = 5.0
"""Between two notices of a new best, of which a search begins with many."""
LAST_S = 2 * TIMEOUT_S + _RETRY_S + 1.0
"""How long the end of a search waits for its last notice to arrive."""
LAST_AFTER_SIGNAL_S = 3.0
"""Likewise where somebody waits for the process to end."""


class Notifier:
    """A monitor (`engine.monitor`) that tells receivers.

    Args:
        to: Who is told.
        warn: Told once of each receiver that cannot be reached.
    """

    def __init__(self, to: Sequence[Receiver], warn: Callable[[str], None]) -> None:
        self._lines = [_Line(receiver, warn) for receiver in to]
        self._info: RunInfo | None = None
        self._stop = threading.Event()
        self._warn = warn
        self._follower = threading.Thread(target=self._look_on, name="notices", daemon=True)

    def prepare(self, message: str) -> None:
        """Nothing is told of it."""

    def event(self, message: str) -> None:
        """Nothing is told of it."""

    def start(self, info: RunInfo) -> None:
        """From now on new bests are told."""
        self._info = info
        if any(BEST in line.receiver.on for line in self._lines):
            self._follower.start()

    def stop(self, outcome: SearchOutcome) -> None:
        """Tell how it ended; takes `LAST_S` at most."""
        self._stop.set()
        if self._follower.is_alive():
            self._follower.join(_LOOK_S * 4)
        notice = end_notice(outcome, self._now())
        _last(self._lines, notice, outcome.exit_code in (exit_code(2), exit_code(15)))

    def _now(self) -> Snapshot | None:
        """As the search is; None if it was never under way, or its ledger cannot be read any more."""
        info = self._info
        try:
            return None if info is None else take(info.name, info.folder, info.ledger, info.spec)
        except Exception:  # of a damaged disk, say: that it ended is told all the same
            return None

    def _look_on(self) -> None:
        try:
            self._follow()
        except Exception as error:  # whoever looks on never ends a search
            if not self._stop.is_set():
                self._warn(redact(f"no more is told of new bests: {type(error).__name__}: {error}"))

    def _follow(self) -> None:
        assert self._info is not None
        info, seq = self._info, self._info.ledger.seq
        lead = Lead(info.spec.objectives, [stage.name for stage in info.spec.stages])
        for trial in info.ledger.trials():
            if trial.ended_at is not None and trial.ended_at <= seq:
                lead.add(trial)
        told = 0.0
        better = False
        while not self._stop.wait(_LOOK_S):
            while events := info.ledger.events(seq, 1000):
                seq = events[-1].seq
                for event in events:
                    if event.kind == "ended" and event.trial is not None:
                        leads = lead.add(info.ledger.trial(event.trial))
                        # One that breaks bounds on outcomes leads as long as none keeps them, and is no best.
                        better = (leads and not any(one.broken for one in lead.front)) or better
            if better and time.monotonic() - told >= PAUSE_S:
                notice = best_notice(take(info.name, info.folder, info.ledger, info.spec))
                better, told = False, time.monotonic()
                for line in self._lines:
                    line.put(notice)


def tell(to: Sequence[Receiver], notice: Notice, warn: Callable[[str], None], signalled: bool = False) -> None:
    """Tell receivers one last thing; takes `LAST_S` at most, after a signal `LAST_AFTER_SIGNAL_S`."""
    _last([_Line(receiver, warn) for receiver in to], notice, signalled)


def _last(lines: Sequence[_Line], notice: Notice, signalled: bool) -> None:
    until = time.monotonic() + (LAST_AFTER_SIGNAL_S if signalled else LAST_S)
    for line in lines:
        line.last(notice)
    for line in lines:
        line.wait(until)


class _Line:
    """To one receiver."""

    def __init__(self, receiver: Receiver, warn: Callable[[str], None]) -> None:
        self.receiver, self._warn = receiver, warn
        self._next: Notice | None = None
        self._ending = self._warned = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"notices to {receiver.name}", daemon=True)

    def put(self, notice: Notice) -> None:
        """Send it when the one before has gone, unless a newer one comes first."""
        if notice.event in self.receiver.on:
            with self._changed:
                self._next = notice
                self._changed.notify()
            self._begin()

    def last(self, notice: Notice) -> None:
        """Likewise, and nothing comes after it; one that waits and is none of its events is dropped for it."""
        with self._changed:
            self._next = notice if notice.event in self.receiver.on else None
            self._ending = True
            self._changed.notify()
        self._begin()

    def wait(self, until: float) -> None:
        """Until all is sent, or that moment of the monotonic clock."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._complain("did not answer in time")

    def _begin(self) -> None:
        if not self._thread.is_alive() and self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._next is None and not self._ending:
                    self._changed.wait()
                notice, self._next = self._next, None
            if notice is None:
                return
            self._send(notice)

    def _send(self, notice: Notice) -> None:
        for again in (True, False):
            try:
                self.receiver.send(notice)
            except NotDeliveredError as error:
                if not again:
                    self._complain(str(error))
                elif not self._newer():
                    time.sleep(_RETRY_S)
                else:
                    return
            except Exception as error:  # a receiver never ends a search
                self._complain(type(error).__name__)
                return
            else:
                return

    def _newer(self) -> bool:
        """Whether something else waits to be sent, which is worth more than another attempt."""
        with self._changed:
            return self._next is not None

    def _complain(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(redact(f"{self.receiver.name} could not be told: {why}; it is not mentioned again"))
