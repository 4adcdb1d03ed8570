"""From the ledger's events to what MLflow must be told: pure, and the same whenever it is asked again.

Everything that is sent is fixed by the ledger: a metric's timestamp is its event's, its step the epoch. MLflow
keeps one row of equal (key, value, timestamp, step), so sending a batch twice changes nothing. Next: `recorder`.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from searchplat.ledger import Event, Ledger, TrialRecord, repeats
from searchplat.ledger.outcomes import broken_words
from searchplat.ledger.ranking import Lead, has_value, stage_names
from searchplat.searchers.contract import TrialState
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import redact

_log = logging.getLogger(__name__)

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
"""MLflow's statuses of a run."""

_FAR = 1e9
"""The violation of a trial that did not report a bounded metric: MLflow stores no infinity."""

_SEARCH_STATUS = {"done": FINISHED, "interrupted": KILLED, "failed": FAILED}
"""By the `state` of a `closed` event."""


def search_status(newest: Event | None) -> str:
    """The parent run's status after the newest `opened` or `closed` event."""
    if newest is None or newest.kind != "closed":
        return RUNNING
    return _SEARCH_STATUS.get(str(newest.payload.get("state", "done")), KILLED)


@dataclass(frozen=True)
class Point:
    """One metric value; `at_ms` is a unix time in milliseconds."""

    key: str
    value: float
    at_ms: int
    step: int


@dataclass
class Change:
    """What one run gets: new metrics, new values of tags, and the last status, if it changed."""

    metrics: list[Point] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    status: str | None = None
    ended_ms: int | None = None
    created: bool = False

    def __bool__(self) -> bool:
        return bool(self.metrics or self.tags or self.status or self.created)

    def run(self, status: str, at_ms: int | None = None) -> None:
        """Set the run's status, and the end that belongs to it."""
        self.status, self.ended_ms = status, at_ms


@dataclass
class Batch:
    """What a stretch of events changes.

    Args:
        last_seq: The stretch's last event: the cursor once all of it is sent.
        trials: By trial number, in the order of first mention.
        search: The parent run.
        turning_point: Whether the search was opened, extended or closed in it.
    """

    last_seq: int
    trials: dict[int, Change] = field(default_factory=dict)
    search: Change = field(default_factory=Change)
    turning_point: bool = False


class Progress:
    """Who leads the search so far, and how many trials it took: the parent run's curves, the tags of the front.

    Counts in the order of the trials' ends, so it is the same after every restart.
    """

    def __init__(self, ledger: Ledger, seq: int) -> None:
        """Take up the count where it stood at event `seq`."""
        stages = stage_names(ledger)
        self._objectives = ledger.objectives
        self.ended = 0
        self._valued: list[TrialRecord] = []
        self._lead = Lead(ledger.objectives, stages)
        self._by = [Lead(ledger.objectives, stages, place) for place in range(len(ledger.objectives))]
        done = [trial for trial in ledger.trials() if trial.ended_at is not None and trial.ended_at <= seq]
        for trial in sorted(done, key=lambda trial: trial.ended_at or 0):
            self.add(trial)

    def add(self, trial: TrialRecord) -> dict[int, float]:
        """Count an ended trial; of the objectives, by place, whose best value is another's now, that value."""
        self.ended += 1
        if trial.control is None and has_value(trial, self._objectives):
            self._valued.append(trial)
        before = [lead.front for lead in self._by]
        for lead in (self._lead, *self._by):
            lead.add(trial)
        return {n: value for n, value in enumerate(self.best) if self._by[n].front != before[n]}

    def __copy__(self) -> Progress:
        """One that goes on by itself."""
        other = object.__new__(Progress)
        other.ended, other._lead, other._by = self.ended, copy.copy(self._lead), [copy.copy(one) for one in self._by]
        other._objectives, other._valued = self._objectives, list(self._valued)
        return other

    def repeated(self) -> list[TrialRecord]:
        """The first trials of the configurations that were repeated, with the means of their trainings."""
        again = {first for trial in self._valued if (first := repeats.repeated(trial)) is not None}
        if not again:
            return []
        return [trial for trial in repeats.merged(self._valued) if trial.number in again]

    @property
    def best(self) -> tuple[float, ...]:
        """The best value of each objective so far; empty before the first trial that keeps the bounds on outcomes."""
        led = [(place, lead.front[0]) for place, lead in enumerate(self._by) if lead.front]
        return tuple((trial.objectives or ())[place] for place, trial in led if not trial.broken)

    @property
    def share(self) -> float | None:
        """The share of the users on which trials compare; None before the first value."""
        return self._lead.share

    @property
    def front(self) -> set[int]:
        """Numbers of the trials on the Pareto front; empty for one objective."""
        return {trial.number for trial in self._lead.front} if len(self._by) > 1 else set()


def gather(ledger: Ledger, events: Sequence[Event], progress: Progress) -> Batch:
    """What `events` (not empty, in order) change; moves `progress` on."""
    batch = Batch(events[-1].seq)
    share, front = progress.share, progress.front
    for event in events:
        at_ms = round(event.at * 1000)
        if event.trial is None:
            _of_search(ledger, event, at_ms, batch)
            continue
        change = batch.trials.setdefault(event.trial, Change())
        trial = ledger.trial(event.trial)
        match event.kind:
            case "suggested":
                change.created = True
                change.tags[keys.STATE] = TrialState.WAITING
                if ledger.bounds and trial.control is None:
                    change.tags[keys.FEASIBLE] = "unknown"
            case "started":
                change.tags[keys.STATE] = TrialState.RUNNING
                change.run(RUNNING)
            case "requeued":
                change.tags[keys.STATE] = TrialState.WAITING
                change.run(RUNNING)
            case "retried":
                change.tags["searchplat.retries"] = str(trial.retries)
                change.tags[keys.CAUSE] = _cause(event)
            case "reported":
                _reported(ledger, event, at_ms, change)
            case "ended":
                _ended(ledger, trial, event, at_ms, batch, progress)
    for number in front ^ progress.front:
        batch.trials.setdefault(number, Change()).tags[keys.FRONT] = "yes" if number in progress.front else "no"
    if progress.share is not None and progress.share != share:
        batch.search.tags[keys.SHARE] = keys.share(progress.share)
    return batch


def _reported(ledger: Ledger, event: Event, at_ms: int, change: Change) -> None:
    assert event.trial is not None
    epoch = int(event.payload["epoch"])
    finite = True
    for metric, value in ledger.report_at(event.trial, epoch).metrics.items():
        if keys.is_test(metric):
            _log.error(
                "trial %d reported %s at epoch %d: a trial must never see the test split, so it is not sent to "
                "MLflow; the method should measure on validation only",
                event.trial, metric, epoch,
            )  # fmt: skip
        elif math.isfinite(value):
            change.metrics.append(Point(keys.key(metric), float(value), at_ms, epoch))
        else:
            finite = False
    if not finite:
        # As numbers MLflow would store NaN as 0 and infinity as 1.797e308.
        change.tags[keys.NON_FINITE] = _non_finite(ledger, event.trial, epoch)


def _non_finite(ledger: Ledger, trial: int, until_epoch: int) -> str:
    parts = []
    for report in ledger.reports(trial):
        bad = [f"{key}={value}" for key, value in sorted(report.metrics.items()) if not math.isfinite(value)]
        if report.epoch <= until_epoch and bad:
            parts.append(f"epoch {report.epoch}: " + ", ".join(key for key in bad if not keys.is_test(key)))
    return keys.cut("; ".join(parts))


def _ended(
    ledger: Ledger, trial: TrialRecord, event: Event, at_ms: int, batch: Batch, progress: Progress
) -> None:  # fmt: skip
    change = batch.trials[trial.number]
    state = TrialState(event.payload["state"])
    change.tags[keys.STATE] = state
    if event.payload.get("cause"):
        change.tags[keys.CAUSE] = _cause(event)
    change.run(FINISHED if state.scored else FAILED, at_ms)
    bests = progress.add(trial)
    bests_called = [keys.key(f"best/{objective.metric}") for objective in ledger.objectives]
    # The step is the number of trials ended, so that the latest value is the best one.
    batch.search.metrics += [Point(bests_called[place], value, at_ms, progress.ended) for place, value in bests.items()]
    if not has_value(trial, ledger.objectives):
        return
    counted = [trial]
    if repeats.repeated(trial) is not None:  # its value is in the mean of its configuration, under the first trial
        change.tags[keys.REPEATS] = str(repeats.repeated(trial))
        counted = progress.repeated()
    for one in counted:
        # The latest of equal steps is what MLflow shows.
        own = batch.trials.setdefault(one.number, Change())
        own.metrics += [
            Point(key, value, at_ms, one.best_epoch or 0)
            for key, value in zip(bests_called, one.objectives or (), strict=True)
        ]
        if ledger.bounds:
            _judged(own, one, at_ms)
    if len(bests_called) > 1 and trial.control is None and repeats.repeated(trial) is None:
        change.tags[keys.FRONT] = "no"  # unless it is on the front once all of these events are in


def _judged(change: Change, trial: TrialRecord, at_ms: int) -> None:
    """Whether a trial keeps the bounds on outcomes."""
    change.tags[keys.FEASIBLE] = "no" if trial.broken else "yes"
    change.tags[keys.BROKEN] = keys.cut(broken_words(trial.broken))
    far = min(trial.violation, _FAR)
    change.metrics.append(Point(keys.VIOLATION, far, at_ms, trial.best_epoch or 0))


def _of_search(ledger: Ledger, event: Event, at_ms: int, batch: Batch) -> None:
    batch.turning_point = True
    if event.kind == "opened":
        batch.search.run(RUNNING)
        status = RUNNING
    elif event.kind == "closed":
        state = str(event.payload.get("state", "done"))
        batch.search.run(search_status(event), at_ms)
        batch.search.tags[keys.STATE] = state
        if state != "done" and event.payload.get("message"):
            batch.search.tags[keys.CAUSE] = _cause(event, "message")
        status = KILLED
    else:
        return
    # Nothing runs without its driver; what is open is taken up again when the search is opened again.
    for trial in ledger.trials():
        if trial.suggested_at < event.seq and (trial.ended_at is None or trial.ended_at > event.seq):
            batch.trials.setdefault(trial.number, Change()).run(status, None if status == RUNNING else at_ms)


def _cause(event: Event, name: str = "cause") -> str:
    return keys.cut(redact(str(event.payload.get(name) or "unknown")), keep_end=True)
