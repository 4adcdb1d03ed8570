"""Trials of other searches as a searcher hears of them: source tasks, whose values compare among themselves alone.

A *source task* is one stage of one other search: another data set, another scale, or the same space as it was before.
Its metric has another level and range there, so a value says only how good a point was among its task's own. How far
that carries over is for the searcher to find out; see `pr.models.prior_mean`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.searchers.contract import History, Suggestion
from searchplat.searchers.points import Key, key, seed_of, snap
from searchplat.spec.space import Domain, Float, Int, Layout, Space

FIRST = 4
"""Good points of the past that are tried first."""
_POOL = 2
"""Among so many times the points that are wanted, the best of a task and of its better half, those are taken that lie
farthest apart."""


@dataclass(frozen=True)
class SourceTrial:
    """A trial of another search that ran all its epochs.

    Args:
        number: Its number there.
        values: What it had of the parameters that the stage at hand searches.
        objectives: On validation, one for each objective of the search at hand, finite.
    """

    number: int
    values: Mapping[str, Any]
    objectives: tuple[float, ...]


@dataclass(frozen=True)
class SourceTask:
    """Trials of one stage of another search.

    Args:
        search, stage: Their names.
        trials: At least one, in the order of their numbers.
    """

    search: str
    stage: str
    trials: tuple[SourceTrial, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.search}/{self.stage}"


def within(task: SourceTask, space: Space) -> SourceTask:
    """The task with those of its trials that lie in a space, and of their values those on its axes.

    A parameter that a trial has no value of stays unknown. A trial with a value off an axis is left out: moved to the
    nearest value it would be another point. Constraints are not asked: what breaks one tells of its neighbours.
    """
    kept = []
    for trial in task.trials:
        values = {name: _on_axis(space, name, value) for name, value in trial.values.items() if name in space}
        if values and all(_lies(space[name], value) for name, value in values.items()):
            kept.append(replace(trial, values={name: snap(space[name], value) for name, value in values.items()}))
    return replace(task, trials=tuple(kept))


def _lies(axis: Domain, value: Any) -> bool:
    """Whether a value is one of the axis's, up to rounding."""
    if axis.refusal(value) is not None:
        return False
    return not isinstance(axis, Float) or math.isclose(snap(axis, value), value, rel_tol=1e-9, abs_tol=1e-12)


def _on_axis(space: Space, name: str, value: Any) -> Any:
    """1 on a real axis is 1.0, and 64.0 on a whole-number axis 64."""
    axis = space[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(axis, Int) and float(value).is_integer():
        return int(value)
    return float(value) if isinstance(axis, Float) else value


def varied(task: SourceTask, space: Space) -> frozenset[str]:
    """The axes on which the task's trials differ, also by having no value: those that it can say something of."""
    found = {name: {repr(t.values[name]) if name in t.values else "" for t in task.trials} for name in space.names}
    return frozenset(name for name, values in found.items() if len(values) > 1)


def ranks(task: SourceTask, maximize: Sequence[bool]) -> np.ndarray[Any, Any]:
    """How good each trial is among the task's `[N]`, from 0 for the worst to 1; of several objectives the mean."""
    values_NJ = np.array([trial.objectives for trial in task.trials]) * np.where(maximize, 1.0, -1.0)
    places_JN = [_places(values_N) for values_N in values_NJ.T]
    share_N: np.ndarray[Any, Any] = np.mean(places_JN, axis=0) / max(1, len(values_NJ) - 1)
    return share_N


def _places(values_N: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The place of each value from 0 for the lowest, of equal ones their mean."""
    _, which_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    places_N: np.ndarray[Any, Any] = (np.cumsum(counts) - (counts + 1) / 2)[which_N]
    return places_N


def promising(
    tasks: Sequence[SourceTask],
    space: Space,
    maximize: Sequence[bool],
    count: int,
    rng: np.random.Generator,
    given: Mapping[str, Any],
) -> list[Values]:
    """Good points of the tasks, to be tried first: of each task the best, then such as differ, tasks by turns.

    What a trial has no value of is drawn. Points that break a constraint are left out.

    Args:
        count: At most so many, of all tasks together.
        given: Values of parameters outside the space.
    """
    chosen: dict[Key, Values] = {}
    queues = [_spread(task, space, maximize, count) for task in tasks]
    while any(queues) and len(chosen) < count:
        for queue in queues:
            if queue and len(chosen) < count:
                point = space.draw(rng, given, queue.pop(0).values)
                if not space.broken(point, given):
                    chosen.setdefault(key(space, point), point)
    return list(chosen.values())


def first_of(
    tasks: Sequence[SourceTask], space: Space, maximize: Sequence[bool], seed: int, given: Mapping[str, Any]
) -> list[Values]:
    """The points that a searcher with a past tries before its model is asked."""
    rng = np.random.default_rng(seed_of(seed, "past"))
    return promising(tasks, space, maximize, FIRST, rng, given)


def next_of(first: Sequence[Values], space: Space, known: set[Key], history: History, count: int) -> list[Suggestion]:
    """The next `count` of the first points, while the stage has had fewer trials than there are; none afterwards.

    Args:
        known: Points that were tried.
    """
    left = [point for point in first if key(space, point) not in known]
    room = min(count, len(first) - len(history.trials))
    return [Suggestion(dict(point), {"route": "past"}) for point in left[: max(0, room)]]


def _spread(task: SourceTask, space: Space, maximize: Sequence[bool], count: int) -> list[SourceTrial]:
    """The task's best trial, then of the next best those that lie farthest from the ones before."""
    share_N = ranks(task, maximize)
    distinct: dict[Key, SourceTrial] = {}
    for index in sorted(range(len(share_N)), key=lambda n: (-share_N[n], task.trials[n].number)):
        distinct.setdefault(key(space, task.trials[index].values), task.trials[index])
    pool = list(distinct.values())[: min(_POOL * count, math.ceil(len(distinct) / 2))]
    found: list[SourceTrial] = []
    while pool and len(found) < count:
        gaps = [min((_apart(space, one.values, other.values) for other in found), default=0.0) for one in pool]
        found.append(pool.pop(int(np.argmax(gaps))))  # of equal ones the better
    return found


def _apart(space: Space, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The sum over the axes of how far two points differ, each from 0 to 1."""
    total = 0.0
    for domain in space.domains:
        if domain.name not in one or domain.name not in other:
            total += float((domain.name in one) is not (domain.name in other))
            continue
        here, there = one[domain.name], other[domain.name]
        if isinstance(domain, Layout):
            total += float(np.mean(domain.decode(here) != domain.decode(there)))
        elif isinstance(domain, Float | Int):
            low, high, a, b = (np.log(x) if domain.log else x for x in (domain.low, domain.high, here, there))
            total += float(abs(a - b) / ((high - low) or 1.0))
        else:
            total += float(repr(here) != repr(there))
    return total
