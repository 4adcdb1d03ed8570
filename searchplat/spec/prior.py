"""`prior:` of an axis: what its user believes of its good values, before any trial.

A belief is a weight of every value, the largest 1, of which searchers use the logarithm (<= 0): on numbers a normal
density around the centre, on choices what was written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchplat.spec.scale import share_of

_SPREAD = 0.25
"""Share of an axis that one standard deviation covers where the user does not say."""


@dataclass(frozen=True)
class Prior:
    """Either `center`, perhaps with `spread`, on an axis of numbers; or `weights` of the choices.

    Args:
        center: The value believed best, on the axis.
        spread: One standard deviation around it, > 0, in units of the axis; with `log` a factor > 1. By default a
            quarter of the axis.
        weights: One a choice, each > 0; of a layout two, of every bit; of a yes-or-no axis those of false and true.
    """

    center: float | None = None
    spread: float | None = None
    weights: tuple[float, ...] = ()

    @property
    def log_weights(self) -> tuple[float, ...]:
        """Logarithms of the choices' weights, the largest 0."""
        return tuple(math.log(weight / max(self.weights)) for weight in self.weights)

    def shares(self, low: float, high: float, log: bool) -> tuple[float, float]:
        """Centre and standard deviation as shares of an axis of numbers, see `scale.share_of`."""
        assert self.center is not None
        centre = share_of(self.center, low, high, log)
        if self.spread is None or low == high:
            return centre, _SPREAD
        width = math.log(high) - math.log(low) if log else high - low
        return centre, (math.log(self.spread) if log else self.spread) / width
