"""Whether the cheap search predicted the full training: rank correlation of the two scores. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fidelity:
    """How well the order of the search's scores agrees with that of the final ones.

    Args:
        tau: Kendall's tau-b in [-1, 1]; NaN if it is not defined (fewer than two candidates, or all equal).
        p: Two-sided p-value of tau = 0, exact where no scores tie; NaN likewise. With few candidates it cannot be
            small: four in perfect order give 0.08.
        candidates: Who was compared, best final score first.
    """

    tau: float
    p: float
    candidates: tuple[str, ...]


def rank_fidelity(search_scores: Mapping[str, float], final_scores: Mapping[str, float], maximize: bool) -> Fidelity:
    """Kendall's tau between search score and final score, over those candidates and controls that have both.

    Args:
        search_scores: The search's objective by candidate.
        final_scores: The same metric after final training, mean over seeds, by candidate.
        maximize: Whether more is better, for both; decides the order of `candidates` only.

    >>> rank_fidelity({"a": 3, "b": 2, "c": 1}, {"a": 0.3, "b": 0.1, "c": 0.2}, True).tau.__round__(3)
    0.333
    """
    from scipy import stats

    both = [
        name
        for name in search_scores.keys() & final_scores.keys()
        if math.isfinite(search_scores[name]) and math.isfinite(final_scores[name])
    ]
    sign = -1 if maximize else 1
    both.sort(key=lambda name: (sign * final_scores[name], name))
    if len(both) < 2:
        return Fidelity(math.nan, math.nan, tuple(both))
    found = stats.kendalltau([search_scores[name] for name in both], [final_scores[name] for name in both])
    return Fidelity(float(found.statistic), float(found.pvalue), tuple(both))
