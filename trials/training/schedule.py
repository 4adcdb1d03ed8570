"""The learning rate's course, as a plain function of the step."""

from __future__ import annotations

import math
from typing import Literal


def rate_factor(step: int, total: int, warmup_fraction: float, kind: Literal["cosine", "constant", "linear"]) -> float:
    """Share of the peak learning rate at a step, in (0, 1].

    The rate rises linearly over the first `warmup = ceil(warmup_fraction * total)` steps and reaches the peak
    with the last of them; then, with x from 0 to 1 over the steps that are left, it falls as
    (1 + cos(pi x)) / 2 or 1 - x, or stays. The very last step still has a rate above 0.

    Args:
        step: The optimiser step about to be taken, from 0.
        total: Steps of the whole training, >= 1.

    >>> [round(rate_factor(s, 6, 0.3, "linear"), 2) for s in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    warmup = math.ceil(warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    if kind == "constant":
        return 1.0
    left = min((step - warmup) / (total - warmup), 1.0) if total > warmup else 1.0
    return (1 + math.cos(math.pi * left)) / 2 if kind == "cosine" else 1 - left
