"""Where a number stands on its axis, and which number stands there: one rule for searchers and pictures."""

from __future__ import annotations

import math


def share_of(value: float, low: float, high: float, log: bool = False) -> float:
    """Position of `value` between the ends, 0 to 1, with `log` that of its logarithm; 0 on an axis of one value.

    Values beyond an end count as that end.
    """
    value = min(max(value, low), high)
    if log:
        ratio = high / low
        if math.isinf(ratio):
            return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        span = math.log(ratio)
        return math.log(value / low) / span if span else 0.0
    if math.isinf(high - low):
        return (value / 2 - low / 2) / (high / 2 - low / 2)
    return (value - low) / (high - low) if high > low else 0.0


def at_share(share: float, low: float, high: float, log: bool = False) -> float:
    """The number at a position from 0 to 1: the inverse of `share_of`, and never beyond an end."""
    if log:
        ratio = high / low
        if math.isinf(ratio):
            value = math.exp((1 - share) * math.log(low) + share * math.log(high))
        else:
            value = low * ratio**share
    elif math.isinf(high - low):
        value = (1 - share) * low + share * high
    else:
        value = low + share * (high - low)
    return min(max(value, low), high)
