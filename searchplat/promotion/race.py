"""The race: fresh seeds tell the lucky from the good, and a candidate that can no longer win stops. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEAST = 2
"""Scores that a candidate must have to be compared: one alone may be luck."""


def beaten(scores: Mapping[str, Sequence[float]], seeds: int, *, maximize: bool = True) -> list[str]:
    """Candidates that can no longer win.

    For a candidate's open seeds the best score that anybody has had so far is assumed, and for those of its rival the
    rival's own worst, from two scores of each on. Whoever's mean stays behind a rival's even so can no longer win.
    Who has run all the seeds is not stopped any more: final training decides between those. Ties stay in.

    This is a rule about the scores of the race, not a test of significance, which few seeds would not support.

    Args:
        scores: By candidate, of the seeds done so far, finite.
        seeds: Seeds that each of them runs in all.

    >>> beaten({"a": [0.9, 0.8], "b": [0.2, 0.1], "c": [0.7]}, seeds=3)
    ['b']
    >>> beaten({"a": [0.9, 0.8, 0.9], "b": [0.2, 0.1, 0.2], "c": [0.7, 0.7]}, seeds=3)
    ['c']
    """
    sign = 1.0 if maximize else -1.0
    signed = {name: [sign * value for value in values] for name, values in scores.items() if len(values) >= LEAST}
    if not signed:
        return []
    highest = max(value for values in signed.values() for value in values)

    def filled(values: Sequence[float], with_: float) -> float:
        return (sum(values) + with_ * (seeds - len(values))) / seeds

    sure = {name: filled(values, min(values)) for name, values in signed.items()}
    return [
        name
        for name, values in signed.items()
        if len(values) < seeds and any(filled(values, highest) < sure[rival] for rival in signed if rival != name)
    ]
