"""What a report is worth to early stopping, where one number does not say it: several objectives, bounds on outcomes.

Scores are in the order of `ledger.ranking`: what breaks bounds less comes first, of equals the Pareto front, within it
what adds most to the volume that is dominated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchplat.ledger import pareto

_MOST = 300
"""Scores that are compared with, the newest: a share of these tells as much, and takes milliseconds."""


@dataclass(frozen=True)
class Score:
    """One report, or the mean of several.

    Args:
        gains: One for each objective; larger is better.
        violation: By how much it breaks bounds on outcomes, >= 0.
    """

    gains: tuple[float, ...]
    violation: float = 0.0


Value = float | Score
"""A single number, larger is better, where that says all."""


def numbers(values: Sequence[Value]) -> list[float]:
    """Those that are no scores."""
    return [float(one) for one in values if not isinstance(one, Score)]


def mean(values: Sequence[Value]) -> Value:
    """The mean; of scores in each part."""
    scores = [one for one in values if isinstance(one, Score)]
    if not scores:
        return float(np.mean(numbers(values)))
    gains = np.mean([one.gains for one in scores], axis=0)
    return Score(tuple(gains.tolist()), sum(one.violation for one in scores) / len(scores))


def best(values: Sequence[Value]) -> Value:
    """The value of the epoch that counts in the end: that with the best first objective, of equals the next."""
    return max(values, key=lambda one: one.gains if isinstance(one, Score) else (one,))


def below(value: Value, others: Sequence[Value], share: float) -> bool:
    """Whether a value is among the worst of the others: below their quantile `share`.

    A number is below if it is less than the quantile, interpolated. A score is below if it comes after so many of the
    others, of many the newest, that no number with as many greater ones could be above; for one objective without
    broken bounds both agree.

    Args:
        others: Of the same kind; none is below if there are none.
        share: In (0, 1); 0.5 for the median.
    """
    if not others:
        return False
    if not isinstance(value, Score):
        return bool(value < np.nanpercentile(numbers(others), 100 * share))
    scores = [one for one in others if isinstance(one, Score)][-_MOST:]
    if len(value.gains) == 1 and not any(one.violation for one in (value, *scores)):
        return below(value.gains[0], [one.gains[0] for one in others if isinstance(one, Score)], share)
    most = len(scores) - (len(scores) - 1) * share
    """From so many that come before it on, it is below."""
    ahead = sum(one.violation < value.violation for one in scores)
    equal = [one.gains for one in scores if one.violation == value.violation]
    if ahead < most and equal:
        if len(value.gains) == 1:
            ahead += sum(gains > value.gains for gains in equal)
        else:
            ahead += pareto.place(np.array([value.gains, *equal], dtype=np.float64), 0)
    return ahead >= most
