"""The race: fresh seeds tell the lucky from the good, and a candidate that can no longer win stops. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LEAST = 2
"""Scores that a candidate must have to be compared: one alone may be luck."""


def beaten(
    scores: Mapping[str, Sequence[float | Sequence[float]]], seeds: int, *, maximize: bool | Sequence[bool] = True
) -> list[str]:
    """Candidates that can no longer win.

    For a candidate's open seeds the best score that anybody has had so far is assumed, and for those of its rival the
    rival's own worst, from two scores of each on. Whoever's mean stays behind a rival's even so can no longer win.
    Who has run all the seeds is not stopped any more: final training decides between those. Ties stay in.

    With several objectives, whoever stays behind one rival in all of them: who is ahead in one may be on the front.

    This is a rule about the scores of the race, not a test of significance, which few seeds would not support.

    Args:
        scores: By candidate, of the seeds done so far, finite; with several objectives one value of each.
        seeds: Seeds that each of them runs in all.
        maximize: Whether more is better, of each objective.

    >>> beaten({"a": [0.9, 0.8], "b": [0.2, 0.1], "c": [0.7]}, seeds=3)
    ['b']
    >>> beaten({"a": [0.9, 0.8, 0.9], "b": [0.2, 0.1, 0.2], "c": [0.7, 0.7]}, seeds=3)
    ['c']
    >>> beaten({"a": [(9, 8), (8, 9)], "b": [(1, 9), (2, 9)], "c": [(0, 0), (1, 0)]}, seeds=3, maximize=(True, True))
    ['c']
    """
    sign_J = np.where(np.atleast_1d(maximize), 1.0, -1.0)
    signed = {
        name: sign_J * np.asarray(values, dtype=np.float64).reshape(len(values), -1)
        for name, values in scores.items()
        if len(values) >= LEAST
    }
    if not signed:
        return []
    highest_J = np.concatenate(list(signed.values())).max(axis=0)

    def filled(values_SJ: Values, with_J: Values) -> Values:
        total_J: Values = values_SJ.sum(axis=0) + with_J * (seeds - len(values_SJ))
        return total_J / seeds

    sure = {name: filled(values, values.min(axis=0)) for name, values in signed.items()}
    return [
        name
        for name, values in signed.items()
        if len(values) < seeds
        and any((filled(values, highest_J) < sure[rival]).all() for rival in signed if rival != name)
    ]
