"""Which trials of a search compare, and which of them are the best. Everything that shows or chooses trials asks here.

1. Ranked is a trial that ended with a value: after all its epochs, or stopped early. Its value is that of its best
   epoch. One that diverged, did not fit, fell silent or failed has none, whatever it reported before.
2. Trials compare where their values were measured on the same users: on one share of them. Stage, epochs and seed do
   not matter; they are part of what was tried.
3. A search is judged on the share of the last stage of the file that has a ranked trial, whatever ran when. The last
   stage's is also the share that controls have unless they say otherwise.
4. Controls are ranked among themselves, each by its best trial, and never chosen. They compare with the search's trials
   on the same share, where the same items were ranked; see `protocol`.
5. One objective: the better value comes first; of equal ones the trial with the smaller number.
6. A configuration that was repeated (`repeats`) counts once: its first trial stands for it, with the mean of its
   trainings' values.
7. Several objectives: the Pareto front comes first, then the front of the others, and so on; see `pareto.order`.
8. Bounds on outcomes: trials that keep them all come before all others, which follow by how much they break them,
   `TrialRecord.violation`, whatever their values (Deb's rules of 2000). A front is one of equal violations. What a
   configuration that was repeated measured is the mean of its trainings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import nsmallest
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from searchplat import protocol
from searchplat.errors import InputError
from searchplat.ledger import pareto, repeats
from searchplat.ledger.records import TrialRecord
from searchplat.ledger.rivals import not_beaten
from searchplat.spec.model import Objective

if TYPE_CHECKING:
    from searchplat.ledger import Ledger


@dataclass(frozen=True)
class Ranking:
    """The trials of one search at one moment, ranked.

    Args:
        trials: In the order of their numbers, controls included.
        objectives: The search's.
        stages: Their names in the order of the file; others come behind them.
        data_options: Of the search's data set, which say what was ranked.
    """

    trials: Sequence[TrialRecord]
    objectives: Sequence[Objective]
    stages: Sequence[str] = ()
    data_options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, ledger: Ledger) -> Ranking:
        """What a ledger says now."""
        return cls(ledger.trials(), ledger.objectives, stage_names(ledger), _data_options(ledger))

    @property
    def several(self) -> bool:
        """Whether there is more than one objective, and so a front."""
        return len(self.objectives) > 1

    @cached_property
    def ranked(self) -> list[TrialRecord]:
        """The search's own trials that have a value, in the order of their numbers, on whatever share of the users.

        Of repeated ones the first, with the mean of their values.
        """
        return repeats.merged(self._valued)

    @cached_property
    def trainings(self) -> Mapping[int, repeats.Trainings]:
        """Of every trial in `ranked`, by number, what it and its repeats say."""
        return repeats.trainings_of(self._valued)

    @cached_property
    def _valued(self) -> list[TrialRecord]:
        return [t for t in self.trials if t.control is None and has_value(t, self.objectives)]

    @cached_property
    def share(self) -> float | None:
        """The share of the users on which the search is judged; None before it has a value."""
        newest = {trial.stage: trial for trial in self._valued}
        names = dict.fromkeys([*self.stages, *newest])
        return next((newest[name].data_fraction for name in reversed(names) if name in newest), None)

    @cached_property
    def comparable(self) -> list[TrialRecord]:
        """The trials on `share`, of all stages, by the first objective."""
        return by_value(self._pool(None), self.objectives)

    def of_stage(self, stage: str) -> list[TrialRecord]:
        """The trials of one stage, by the first objective; should it have several shares, on that of its newest."""
        return by_value(self._pool(stage), self.objectives)

    def best(self, most: int | None = None, *, stage: str | None = None, by: int | None = None) -> list[TrialRecord]:
        """The best trials that compare, best first.

        Args:
            most: How many at most; all by default.
            stage: Of this stage alone.
            by: The place of the only objective that counts, from 0; by default all count.
        """
        return ordered(self._pool(stage), self.objectives, most, by)

    def configurations(self, most: int | None, *, stage: str | None = None, by: int | None = None) -> list[TrialRecord]:
        """The best trials with different configurations: of those with equal ones the best stands for all.

        While any keeps the bounds on outcomes, only such as do.
        """
        equal: dict[str, list[TrialRecord]] = {}
        for trial in self._pool(stage):
            equal.setdefault(json.dumps(trial.config, sort_keys=True), []).append(trial)
        chosen = [ordered(same, self.objectives, 1, by)[0] for same in equal.values()]
        feasible = [trial for trial in chosen if not trial.broken]
        return ordered(feasible or chosen, self.objectives, most, by)

    def front(self, stage: str | None = None) -> list[TrialRecord]:
        """The Pareto front of the trials that compare: those that no other dominates, in the order of `best`.

        For one objective it is the best trial. It is one of trials that keep the bounds on outcomes, if any does; else
        of those that break them least.

        Args:
            stage: Of this stage's trials.
        """
        return self._front if stage is None else front_of(self._pool(stage), self.objectives)

    @cached_property
    def _front(self) -> list[TrialRecord]:
        return front_of(self._pool(None), self.objectives)

    def _pool(self, stage: str | None) -> list[TrialRecord]:
        """The trials that compare, in the order of their numbers."""
        own = self.ranked if stage is None else [trial for trial in self.ranked if trial.stage == stage]
        newest = None if stage is None else next((t for t in reversed(self._valued) if t.stage == stage), None)
        share = self.share if newest is None else newest.data_fraction
        return [trial for trial in own if trial.data_fraction == share]

    def on_front(self, stage: str | None = None) -> dict[int, bool]:
        """Of every trial that compares, by number, whether it is on the front; empty for one objective."""
        if not self.several:
            return {}
        on_it = {trial.number for trial in self.front(stage)}
        return {trial.number: trial.number in on_it for trial in self._pool(stage)}

    @cached_property
    def controls(self) -> list[TrialRecord]:
        """The best trial of every control, by the first objective; on whatever share of the users."""
        return self.controls_by(None)

    def controls_by(self, by: int | None) -> list[TrialRecord]:
        """The same where one objective counts alone."""
        own: dict[str, list[TrialRecord]] = {}
        for trial in self.trials:
            if trial.control is not None and has_value(trial, self.objectives):
                own.setdefault(trial.control, []).append(trial)
        best = [ordered(trials, self.objectives, 1, by)[0] for trials in own.values()]
        return by_value(best, self.objectives, by or 0)

    @property
    def rivals(self) -> list[TrialRecord]:
        """The controls that compare with the search's trials."""
        return [trial for trial in self.controls if self.compares(trial)]

    def compares(self, control: TrialRecord) -> bool:
        """Whether a control's metrics compare with those of the search's best trials."""
        return control.data_fraction == self.share and self._met(control) == self.rank_met

    @property
    def not_beaten(self) -> str:
        """Which controls the best does not beat, such as `below the control markov (0.0491)`; empty for a front."""
        if self.several or not (best := self.best(1)):
            return ""
        fair = [t for t in self.rivals if t.violation <= best[0].violation]
        values = [(str(t.control), t.objectives[0]) for t in fair if t.objectives]
        return not_beaten((best[0].objectives or (math.nan,))[0], values, self.objectives[0].maximize)

    @cached_property
    def rank_met(self) -> bool | None:
        """Whether what a user has met is ranked in the search's own trials; None where it is not known."""
        first = next(iter(self.best(1)), None) or next((t for t in self.trials if t.control is None), None)
        return protocol.rank_met(self.data_options, {}) if first is None else self._met(first)

    def _met(self, trial: TrialRecord) -> bool | None:
        return protocol.rank_met(self.data_options, trial.config)

    def beaten_by(self, trial: TrialRecord) -> TrialRecord | None:
        """The first trial of the front that dominates a trial which compares; for one objective, the best if better."""
        return next((one for one in self.front() if before(one, trial, self.objectives)), None)


class Lead:
    """Who leads while trials end one after the other: `Ranking.front` of those that ended, without ranking them anew.

    Args:
        objectives: The search's.
        stages: Their names in the order of the file.
        by: The place of the only objective that counts; by default all do.
    """

    def __init__(self, objectives: Sequence[Objective], stages: Sequence[str] = (), by: int | None = None) -> None:
        self._objectives, self._by = tuple(objectives), 0 if len(objectives) == 1 else by
        self._places = {name: place for place, name in enumerate(stages)}
        self._last = (-1, -1)
        self._fronts: dict[float, tuple[TrialRecord, ...]] = {}
        self._valued: dict[float, list[TrialRecord]] = {}
        self.share: float | None = None
        """As `Ranking.share`."""

    @property
    def front(self) -> tuple[TrialRecord, ...]:
        """Those who lead, in the order of their numbers; none before the first value. One, for one objective."""
        return () if self.share is None else self._fronts[self.share]

    def add(self, trial: TrialRecord) -> bool:
        """Take in a trial that has ended; whether it leads now, or by it the trial that it repeats."""
        if trial.control is not None or not has_value(trial, self._objectives):
            return False
        place = self._places.setdefault(trial.stage, len(self._places))
        if (place, trial.number) > self._last:
            self._last, self.share = (place, trial.number), trial.data_fraction
        valued = self._valued.setdefault(trial.data_fraction, [])
        valued.append(trial)
        if (first := repeats.repeated(trial)) is not None:  # means have changed: who led may lead no more
            ranked = repeats.merged(sorted(valued, key=lambda one: one.number))
            by = self._by
            leads = front_of(ranked, self._objectives) if by is None else by_value(ranked, self._objectives, by, 1)
            self._fronts[trial.data_fraction] = tuple(sorted(leads, key=lambda one: one.number))
            return first in {one.number for one in self.front}
        front = self._fronts.get(trial.data_fraction, ())
        if not any(self._before(other, trial) for other in front):
            kept = [*(other for other in front if not self._before(trial, other)), trial]
            self._fronts[trial.data_fraction] = tuple(sorted(kept, key=lambda one: one.number))
        return trial in self.front

    def __copy__(self) -> Lead:
        """One that goes on by itself."""
        other = Lead(self._objectives, by=self._by)
        other._places, other._fronts = dict(self._places), dict(self._fronts)
        other._valued = {share: list(trials) for share, trials in self._valued.items()}
        other._last, other.share = self._last, self.share
        return other

    def _before(self, one: TrialRecord, other: TrialRecord) -> bool:
        if self._by is None:
            return before(one, other, self._objectives)
        return by_value([one, other], self._objectives, self._by)[0] is one


def has_value(trial: TrialRecord, objectives: Sequence[Objective]) -> bool:
    """Whether a trial ended with a finite value of every objective."""
    values = trial.objectives
    return (
        trial.state.scored and values is not None and len(values) >= len(objectives) and all(map(math.isfinite, values))
    )


def gains(values: Sequence[float], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Values of objectives turned so that larger is better."""
    return tuple(v if o.maximize else -v for v, o in zip(values, objectives, strict=False))


def improves(new: Sequence[float], old: Sequence[float] | None, objectives: Sequence[Objective]) -> bool:
    """Whether an epoch's values are better than an earlier epoch's: by the first objective, of equal ones by the next.

    >>> mrr, loss = Objective("valid/mrr", True), Objective("valid/loss", False)
    >>> improves([0.3], [0.3], [mrr]), improves([0.3, 1.0], [0.3, 2.0], [mrr, loss])
    (False, True)
    """
    return old is None or gains(new, objectives) > gains(old, objectives)


def by_value(
    trials: Sequence[TrialRecord], objectives: Sequence[Objective], by: int = 0, most: int | None = None
) -> list[TrialRecord]:
    """Trials with values by one objective, best first, those that keep all bounds on outcomes before others."""
    sign = -1.0 if objectives[by].maximize else 1.0

    def key(trial: TrialRecord) -> tuple[float, float, int]:
        assert trial.objectives is not None
        return trial.violation, sign * trial.objectives[by], trial.number

    return sorted(trials, key=key) if most is None else nsmallest(most, trials, key)


def ordered(
    trials: Sequence[TrialRecord], objectives: Sequence[Objective], most: int | None = None, by: int | None = None
) -> list[TrialRecord]:
    """Trials with values, best first: by one objective, or by all of several.

    Args:
        most: How many at most; all by default.
        by: The place of the only objective that counts.
    """
    if by is not None or len(objectives) == 1 or not trials:
        return by_value(trials, objectives, by or 0, most)
    found: list[TrialRecord] = []
    pool = sorted(trials, key=lambda trial: (trial.violation, trial.number))
    for _, equal in groupby(pool, key=lambda trial: trial.violation):
        same = list(equal)
        wanted = None if most is None else most - len(found)
        found += [same[row] for row in pareto.order(_gains(same, objectives), wanted)]
        if most is not None and len(found) >= most:
            break
    return found


def front_of(trials: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """The trials with values that no other of them dominates, as `ordered`; for one objective the best.

    Of those that keep all bounds on outcomes; if there are none, of those that break them least.
    """
    if len(objectives) == 1 or not trials:
        return by_value(trials, objectives, most=1)
    least = min(trial.violation for trial in trials)
    trials = [trial for trial in trials if trial.violation == least]
    return ordered([trials[row] for row in pareto.front(_gains(trials, objectives))], objectives)


def before(one: TrialRecord, other: TrialRecord, objectives: Sequence[Objective]) -> bool:
    """Whether a trial dominates another: it breaks bounds on outcomes less, or as much and is better in what counts."""
    if one.violation != other.violation:
        return one.violation < other.violation
    return pareto.dominates(*(gains(trial.objectives or (), objectives) for trial in (one, other)))


def order_of(values: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Places of some values of the objectives, all finite, best first; of equal ones the first comes first.

    >>> order_of([[0.1], [0.3], [0.3]], [Objective("valid/mrr", True)])
    [1, 2, 0]
    """
    turned = [gains(one, objectives) for one in values]
    if len(objectives) == 1 or not turned:
        return sorted(range(len(turned)), key=lambda place: (-turned[place][0], place))
    return pareto.order(np.array(turned, dtype=np.float64))


def place_of(objectives: Sequence[Objective], metric: str | None) -> int | None:
    """The place of the objective that `--by` names, with or without `valid/`; None for None.

    Raises:
        InputError: If none has this name.
    """
    if metric is None:
        return None
    for place, objective in enumerate(objectives):
        if metric in (objective.metric, objective.metric.removeprefix("valid/")):
            return place
    known = ", ".join(objective.metric for objective in objectives)
    raise InputError(f"--by: must be an objective of the search ({known}), got {metric!r}; correct the name")


def stage_names(ledger: Ledger) -> list[str]:
    """A search's stages in the order of its file."""
    return [stage["name"] for stage in ledger.document().get("stages", ())]


def _data_options(ledger: Ledger) -> Mapping[str, Any]:
    """The data set's, of a document that may be from a search without such."""
    data = ledger.document().get("data")
    found = data.get("options") if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _gains(trials: Sequence[TrialRecord], objectives: Sequence[Objective]) -> pareto.Gains:
    return np.array([gains(trial.objectives or (), objectives) for trial in trials], dtype=np.float64)
