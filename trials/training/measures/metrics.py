"""Ranking metrics from the ranks of targets, and means of them. `searchplat.contract.measures` defines them.

`trials.training.measures.evaluation` makes the ranks. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from searchplat.contract.measures import Metric, parse

__all__ = ["Metric", "parse", "summarise"]


def summarise(ranks: ArrayLike, names: Iterable[str]) -> dict[str, float]:
    """Mean of each named metric over the queries; NaN without queries.

    Args:
        ranks: `[U]` or `[U, M]`, see `Metric.per_query`.
        names: Of measures of targets.

    >>> summarise([1, 2, 4], ["mrr", "recall@2"])
    {'mrr': 0.5833333333333334, 'recall@2': 0.6666666666666666}
    """
    found = np.asarray(ranks)
    return {name: float(parse(name).per_query(found).mean()) if found.size else float("nan") for name in names}
