"""The temperature τ of the straight-through softmax over the course of training. Loads no torch."""

from __future__ import annotations

import math
from typing import Literal

Course = Literal["linear", "exponential", "cosine"]


def temperature(progress: float, start: float, end: float, course: Course) -> float:
    """τ at a point of training.

    With p from 0 at the first step to 1 at the last, linear is `start + (end - start) p`, exponential
    `start (end / start)^p`, and cosine `end + (start - end) (1 + cos(π p)) / 2`.

    Args:
        progress: p, in [0, 1].
        start: τ at p = 0, > 0; the paper: 0.7.
        end: τ at p = 1, > 0; the paper: 0.3.

    Source: appendix B.3 names the courses and both ends; the formulas are the usual ones.

    >>> [round(temperature(0.5, 0.7, 0.3, course), 4) for course in ("linear", "exponential", "cosine")]
    [0.5, 0.4583, 0.5]
    """
    if course == "linear":
        return start + (end - start) * progress
    if course == "exponential":
        return start * math.pow(end / start, progress)
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
