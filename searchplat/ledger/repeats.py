"""One configuration trained again on other seeds: which is next, and what its trainings together say. Pure.

A stage with `repeats: {share: 0.2, top: 3}` has one of its best three configurations trained again as every fifth
trial. Such a trial is an observation like any other to the searcher. To the ranking, a configuration and its repeats
are one, with the mean of their values.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from searchplat.ledger.outcomes import Outcome
from searchplat.ledger.records import TrialRecord
from searchplat.searchers.contract import History

Array = np.ndarray[Any, Any]

REPEATS, TRAINING, SHARED = "repeats", "training", "shared_seed"
"""Keys of a repeat's `info`: the number of the trial that it repeats; the how manieth training it is, from 0;
and whether its seed is shared by the repeats of other configurations that are as manieth."""


@dataclass(frozen=True)
class Trainings:
    """What the trainings of one configuration say.

    Args:
        numbers: Of the trials that ended with a value, the first one in front.
        mean: One per objective; see `trainings_of`.
        deviation: Sample standard deviation (n - 1), one per objective; NaN for one training.
    """

    numbers: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def repeated(trial: TrialRecord) -> int | None:
    """The number of the trial that a trial repeats; None if it repeats none."""
    number = trial.info.get(REPEATS)
    return int(number) if number is not None else None


def due(share: float, count: int) -> bool:
    """Whether trial `count` of a stage, from 0, is to be a repeat: evenly spread, never the first.

    >>> [count for count in range(20) if due(0.2, count)]
    [4, 9, 14, 19]
    """
    return math.floor(share * (count + 1) + 1e-9) > math.floor(share * count + 1e-9)


def trainings_of(trials: Iterable[TrialRecord]) -> dict[int, Trainings]:
    """By the number of its first trial, what the trainings of each configuration say.

    Seeds that are shared: a repeat's value is taken less what its seed adds to all configurations that have it. That is
    estimated by the difference to their first trainings, its sum divided by one more than there are: a single one
    cannot tell what a seed adds to all from what it adds to one.

    Args:
        trials: With values. A repeat without its first trial stands for itself.
    """
    groups = _groups(trials)
    added = _added_by_seeds(groups)
    found = {}
    for first, group in groups.items():
        values_TJ = np.array([_values(trial) for trial in group], dtype=np.float64)
        for row, trial in enumerate(group[1:], start=1):
            values_TJ[row] -= added.get(_seed_key(trial), 0.0)
        spread_J = values_TJ.std(0, ddof=1) if len(group) > 1 else np.full(values_TJ.shape[1], math.nan)
        found[first] = Trainings(
            tuple(trial.number for trial in group), tuple(values_TJ.mean(0).tolist()), tuple(spread_J.tolist())
        )
    return found


def merged(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Each configuration's first trial with the means of its trainings as its values, in the order of `trials`.

    Args:
        trials: As `trainings_of`.
    """
    if all(repeated(trial) is None for trial in trials):
        return list(trials)
    found = trainings_of(trials)
    firsts = [trial for trial in trials if trial.number in found]
    by_number = {trial.number: trial for trial in trials}
    return [
        replace(
            trial,
            objectives=found[trial.number].mean,
            outcomes=_mean_outcomes([by_number[number] for number in found[trial.number].numbers]),
        )
        if len(found[trial.number].numbers) > 1
        else trial
        for trial in firsts
    ]


def _mean_outcomes(trainings: Sequence[TrialRecord]) -> tuple[Outcome, ...]:
    """What trainings of one configuration measured, on average; NaN where one of them did not."""
    several = zip(*(trial.outcomes for trial in trainings), strict=True)
    return tuple(Outcome(same[0].bound, sum(one.value for one in same) / len(same)) for same in several)


def heard(history: History, trials: Iterable[TrialRecord]) -> History:
    """A history as a searcher is to hear it: repeats on shared seeds less what these add, as in `trainings_of`.

    Args:
        history: Of one stage.
        trials: The search's own trials with values.
    """
    groups = _groups(trials)
    added = _added_by_seeds(groups)
    less = {
        trial.number: tuple((np.array(_values(trial)) - added[key]).tolist())
        for _, *others in groups.values()
        for trial in others
        if (key := _seed_key(trial)) in added
    }
    if not less:
        return history
    past = tuple(replace(t, objectives=less[t.number]) if t.number in less else t for t in history.trials)
    return replace(history, trials=past)


def next_repeat(best: Sequence[TrialRecord], trials: Iterable[TrialRecord]) -> tuple[TrialRecord, int] | None:
    """Which of the best configurations to train again, and the how manieth training of it that is, from 0.

    The one with the fewest trainings, of equal ones the best: the first among them are so told apart as well as they
    can be. Trainings that have not ended, or ended badly, count.

    Args:
        best: First trials of the best configurations, best first.
        trials: All trials of the stage.
    """
    had = {trial.number: 1 for trial in best}
    for trial in trials:
        if (first := repeated(trial)) in had:
            had[first] += 1
    chosen = min(best, key=lambda trial: had[trial.number], default=None)
    return None if chosen is None else (chosen, had[chosen.number])


def info_of(first: TrialRecord, training: int, *, shared: bool) -> dict[str, Any]:
    """What a repeat's `info` says."""
    return {"route": "repeat", REPEATS: first.number, TRAINING: training, **({SHARED: True} if shared else {})}


def _groups(trials: Iterable[TrialRecord]) -> dict[int, list[TrialRecord]]:
    """By its number the first trial of every configuration, and its repeats; one without its first by itself."""
    groups: dict[int, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda one: one.number):
        first = repeated(trial)
        groups.setdefault(trial.number if first not in groups else first, []).append(trial)
    return groups


def _added_by_seeds(groups: Mapping[int, Sequence[TrialRecord]]) -> dict[Hashable, Array]:
    """What each shared seed of repeats adds to the objectives `[J]`."""
    differences: dict[Hashable, list[Array]] = {}
    for first, *others in groups.values():
        for trial in others:
            if trial.info.get(SHARED):
                both = np.array(_values(trial)) - np.array(_values(first))
                differences.setdefault(_seed_key(trial), []).append(both)
    return {key: np.sum(several, axis=0) / (len(several) + 1) for key, several in differences.items()}


def _seed_key(trial: TrialRecord) -> Hashable:
    """What a seed adds differs between shares of the users."""
    return trial.data_fraction, trial.seed


def _values(trial: TrialRecord) -> tuple[float, ...]:
    assert trial.objectives is not None
    return trial.objectives
