"""What trials measured of the metrics that a space bounds, and in words which bounds they break."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchplat.spec.document.bounds import Bound

NONE_KEPT = "no trial keeps the bounds on outcomes; first are those that break them least"


@dataclass(frozen=True)
class Outcome:
    """What a trial measured of a bounded metric at its best epoch; NaN if it did not report it there."""

    bound: Bound
    value: float

    @property
    def excess(self) -> float:
        """By how much it breaks the bound, in shares of the limit; at most 0 if it keeps it. See `Bound.excess`."""
        return self.bound.excess(self.value)


def outcomes_of(bounds: Sequence[Bound], metrics: Mapping[str, float]) -> tuple[Outcome, ...]:
    """What a report says of bounded metrics."""
    return tuple(Outcome(bound, metrics.get(bound.metric, math.nan)) for bound in bounds)


def broken_words(broken: Sequence[Outcome]) -> str:
    """`breaks time/train_seconds <= 60 by 15.2`, of several bounds all; empty for none.

    >>> broken_words([Outcome(Bound("size", True, 8.0), 9.5), Outcome(Bound("valid/mrr", False, 0.1), math.nan)])
    'breaks size <= 8 by 1.5; valid/mrr >= 0.1, which it did not report'
    """
    parts = []
    for outcome in broken:
        unmeasured = math.isnan(outcome.value)
        how = ", which it did not report" if unmeasured else f" by {abs(outcome.value - outcome.bound.limit):.4g}"
        parts.append(f"{outcome.bound.text}{how}")
    return f"breaks {'; '.join(parts)}" if parts else ""


def broken_document(broken: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Broken bounds for scripts: `bound`, `metric`, `value` and `by`, both null where it was not reported."""
    found = []
    for outcome in broken:
        value = None if math.isnan(outcome.value) else outcome.value
        by = None if value is None else abs(value - outcome.bound.limit)
        found.append({"bound": outcome.bound.text, "metric": outcome.bound.metric, "value": value, "by": by})
    return found
