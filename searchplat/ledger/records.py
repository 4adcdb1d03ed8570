"""What a ledger holds, in rows: trials, the reports of their epochs, and events."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from searchplat.contract import Values
from searchplat.ledger.database import from_text
from searchplat.ledger.outcomes import Outcome, outcomes_of
from searchplat.searchers.contract import TrialState
from searchplat.spec.document.bounds import Bound


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the ledger has it.

    Args:
        number: From 0, in the order of the suggestions.
        stage: The stage's name; `controls` for controls.
        control: The control's name, None for a trial of the search.
        values: The searched values (for a control: what it sets).
        config: The method's whole config.
        data_fraction: Share of the users.
        info: What the searcher said of the suggestion.
        based_on: Sequence number of the ledger that the suggestion was computed from.
        suggested_at, ended_at: Sequence numbers.
        cause: Why it ended as it did: `worker died`, a traceback, ...
        retries: Times that it was taken up again after its worker died.
        epoch: Epochs reported.
        seconds: Training and evaluation time reported (`time/*_seconds`), over all epochs.
        best_epoch: The epoch with the best first objective; see `ranking.improves`.
        objectives: Values of all objectives at that epoch; None before the first report.
        outcomes: One for each bound of the search, at that epoch; none before the first report. Not stored: worked out
            from the report of that epoch whenever the ledger is read.
    """

    number: int
    stage: str
    control: str | None
    method: str
    values: Values
    config: Values
    data_fraction: float
    seed: int
    info: dict[str, Any]
    based_on: int
    suggested_at: int
    state: TrialState = TrialState.WAITING
    cause: str | None = None
    retries: int = 0
    ended_at: int | None = None
    epoch: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    objectives: tuple[float, ...] | None = None
    outcomes: tuple[Outcome, ...] = ()

    @cached_property
    def broken(self) -> tuple[Outcome, ...]:
        """The bounds that it breaks. A control breaks none by a metric that its method does not report."""
        return tuple(o for o in self.outcomes if o.excess > 0 and not (self.control and math.isnan(o.value)))

    @cached_property
    def violation(self) -> float:
        """By how much it breaks the search's bounds, the sum of what it exceeds them by; 0 if it keeps them all."""
        return sum((outcome.excess for outcome in self.broken), 0.0)


@dataclass(frozen=True)
class Report:
    """The metrics of one epoch of one trial. `seq` orders reports over all trials."""

    trial: int
    epoch: int
    seq: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Event:
    """One thing that happened: `suggested`, `started`, `reported`, `retried`, `requeued`, `ended`, or of the search
    as a whole `opened`, `extended`, `packed` (shares were measured), `closed`. `at` is a unix time, for people only.
    """

    seq: int
    at: float
    kind: str
    trial: int | None
    payload: dict[str, Any] = field(default_factory=dict)


_FIELDS = tuple(f.name for f in fields(TrialRecord) if f.name != "outcomes")
_COLUMNS = ", ".join(_FIELDS).replace("values", "assigned")  # `values` is a keyword of SQL


def trial_columns(bounds: Sequence[Bound] = ()) -> str:
    """The columns of a trial's row; where there are bounds on outcomes, then the metrics of its best epoch's report."""
    best = ", (SELECT metrics FROM reports WHERE trial = number AND reports.epoch = best_epoch)"
    return _COLUMNS + (best if bounds else "")


def trial_of(row: Sequence[Any], bounds: Sequence[Bound] = ()) -> TrialRecord:
    """A trial from its row.

    Args:
        row: The values of `trial_columns`.
        bounds: The search's, on outcomes.
    """
    *row, metrics = row if bounds else (*row, None)
    record: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    for name in ("values", "config", "info"):
        record[name] = from_text(record[name])
    record["state"] = TrialState(record["state"])
    if record["objectives"] is not None:
        record["objectives"] = tuple(json.loads(record["objectives"]))
    return TrialRecord(**record, outcomes=() if metrics is None else outcomes_of(bounds, from_text(metrics)))


def seconds_of(metrics: Mapping[str, float]) -> float:
    """Seconds that an epoch reported of training and evaluation: its `time/*_seconds`, of those that are numbers."""
    return sum(
        value
        for key, value in metrics.items()
        if key.startswith("time/") and key.endswith("_seconds") and math.isfinite(value)
    )


REPORT_COLUMNS = "trial, epoch, seq, metrics"
"""The columns of a report's row."""


def report_of(row: Sequence[Any]) -> Report:
    """A report from its row, the values of `REPORT_COLUMNS`."""
    trial, epoch, seq, metrics = row
    return Report(trial, epoch, seq, from_text(metrics))


EVENT_COLUMNS = "seq, at, kind, trial, payload"
"""The columns of an event's row."""


def event_of(row: Sequence[Any]) -> Event:
    """An event from its row, the values of `EVENT_COLUMNS`."""
    seq, at, kind, trial, payload = row
    return Event(seq, at, kind, trial, from_text(payload))
