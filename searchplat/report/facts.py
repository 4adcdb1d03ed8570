"""What a report shows, read from a ledger at one moment. The figures take `Facts` and know no ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchplat.engine.planning import closing
from searchplat.engine.planning.closing import Estimate
from searchplat.engine.sizing.choose import said
from searchplat.ledger import Event, Ledger, lineage
from searchplat.promotion import record
from searchplat.promotion.record import Promotion
from searchplat.views.snapshot import Snapshot, take

_CHUNK = 5000


@dataclass(frozen=True)
class Span:
    """A time in which one trial had a worker, in working seconds.

    Args:
        open: It had not ended when the ledger was read, or its driver went away.
    """

    trial: int
    start: float
    end: float
    open: bool


@dataclass(frozen=True)
class Times:
    """When things happened, in seconds since the search began, times without a driver left out.

    Args:
        spans: By start.
        ended: When each trial ended, by number.
        pauses: When the search was taken up again after a time without a driver.
        worked: Up to the last event.
        began, last: Unix times of the first and the last event; None without any.
    """

    spans: Sequence[Span]
    ended: Mapping[int, float]
    pauses: Sequence[float]
    worked: float
    began: float | None
    last: float | None


@dataclass(frozen=True)
class Facts:
    """Everything a report is made of.

    Args:
        curves: (epoch, first objective) of each trial that reported a finite value, by number, in order of epochs.
        lineages: Hashes and versions that trials ran under, see `searchplat.ledger.lineage`.
        promotion: The newest, if there is one.
        running: Whether a driver is at work.
        share: What trials take of a machine, where that was measured.
        estimates: What the next trials of stages with `stop` were expected to gain, in order.
    """

    snapshot: Snapshot
    times: Times
    curves: Mapping[int, Sequence[tuple[int, float]]]
    lineages: Sequence[Mapping[str, str]]
    promotion: Promotion | None
    running: bool
    share: str | None = None
    estimates: Sequence[Estimate] = ()


def gather(name: str, folder: Path, ledger: Ledger, running: bool = False, snapshot: Snapshot | None = None) -> Facts:
    """Read a ledger that may be written at the same time.

    Args:
        name: The search's.
        folder: `runs/<search>`.
        running: Whether a driver is at work, which the ledger cannot say.
        snapshot: Of the ledger, where it has just been taken.
    """
    snapshot = snapshot or take(name, folder, ledger)
    curves: dict[int, list[tuple[int, float]]] = {}
    for report in ledger.reports():
        value = report.metrics.get(snapshot.metric, math.nan)
        if math.isfinite(value):
            curves.setdefault(report.trial, []).append((report.epoch, value))
    promoted = record.load_promotion(folder) if record.numbers(ledger) else None
    return Facts(
        snapshot, times(_events(ledger)), curves, lineage.recorded(ledger), promoted, running, said(ledger),
        closing.estimates(ledger),
    )  # fmt: skip


def times(events: Iterator[Event]) -> Times:
    """Order events on a clock that stands still while no driver is at work."""
    began: float | None = None
    last = away = 0.0
    now = 0.0
    opened = False  # the first driver writes some events before it says that it opened the search
    pauses: list[float] = []
    ended: dict[int, float] = {}
    begun: dict[int, float] = {}
    spans: list[Span] = []
    for event in events:
        if began is None:
            began = last = event.at
        elif event.kind == "opened" and opened:
            away += event.at - last
            pauses.append(now)
        opened = opened or event.kind == "opened"
        last = event.at
        now = max(now, event.at - began - away)  # a clock that was set back does not turn time round
        if event.trial is None:
            continue
        if event.kind == "started":
            begun[event.trial] = now
        elif event.kind in ("ended", "requeued"):
            start = begun.pop(event.trial, None)
            if start is not None:
                spans.append(Span(event.trial, start, now, event.kind == "requeued"))
            if event.kind == "ended":
                ended[event.trial] = now
    spans += [Span(trial, start, now, True) for trial, start in begun.items()]
    spans.sort(key=lambda span: (span.start, span.trial))
    return Times(spans, ended, pauses, now, began, None if began is None else last)


def lanes(spans: Sequence[Span]) -> list[int]:
    """A lane for each span, in the same order: the lowest that is free, so that trials at once stand apart."""
    free_at: list[float] = []
    found = []
    for span in spans:
        lane = next((i for i, end in enumerate(free_at) if end <= span.start), len(free_at))
        if lane == len(free_at):
            free_at.append(0.0)
        free_at[lane] = span.end
        found.append(lane)
    return found


def _events(ledger: Ledger) -> Iterator[Event]:
    after = 0
    while events := ledger.events(after, _CHUNK):
        yield from events
        after = events[-1].seq
