"""Ranking metrics of one target per query, from its rank. Shape letter: `U` queries.

`trials.training.evaluation` makes the ranks. Loads no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]

_NAME = re.compile(r"(mrr)|(mrr|recall|ndcg)@([1-9][0-9]{0,6})")


@dataclass(frozen=True)
class Metric:
    """A metric's kind and cut-off `k`; `k` is None for the whole ranking.

    With one target a query, recall@k is the hit rate HR@k, and the ideal DCG is 1.
    """

    kind: Literal["mrr", "recall", "ndcg"]
    k: int | None = None

    def per_query(self, ranks_U: ArrayLike) -> FloatArray:
        """The metric of every query, `[U]` in [0, 1]; its mean is the metric.

        With r the target's rank, 1 being best: mrr@k = [r <= k] / r, recall@k = [r <= k],
        ndcg@k = [r <= k] / log2(r + 1).

        Args:
            ranks_U: `[U]` whole numbers >= 1.

        Raises:
            ValueError: If a rank is below 1.

        >>> parse("recall@2").per_query([1, 2, 3, 7]).tolist()
        [1.0, 1.0, 0.0, 0.0]
        >>> parse("ndcg@3").per_query([1, 2, 3, 7]).round(3).tolist()
        [1.0, 0.631, 0.5, 0.0]
        >>> parse("mrr@2").per_query([1, 2, 3, 7]).tolist()
        [1.0, 0.5, 0.0, 0.0]
        """
        ranks = np.asarray(ranks_U, dtype=np.float64)
        if ranks.size and ranks.min() < 1:
            raise ValueError(f"ranks_U: ranks start at 1, got {ranks.min():g}; give ranks, not scores or indices")
        if self.kind == "mrr":
            value = 1 / ranks
        elif self.kind == "ndcg":
            value = 1 / np.log2(ranks + 1)
        else:
            value = np.ones_like(ranks)
        return value if self.k is None else np.where(ranks <= self.k, value, 0.0)


def parse(name: str) -> Metric:
    """Read a metric's name.

    Raises:
        ValueError: If it is none of `mrr`, `mrr@k`, `recall@k`, `ndcg@k`.

    >>> parse("ndcg@10")
    Metric(kind='ndcg', k=10)
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"metric {name!r} is not known; known are mrr, mrr@k, recall@k and ndcg@k, such as ndcg@10")
    whole, kind, k = found.groups()
    return Metric("mrr") if whole else Metric(cast(Literal["mrr", "recall", "ndcg"], kind), int(k))


def summarise(ranks_U: ArrayLike, names: Iterable[str]) -> dict[str, float]:
    """Mean of each named metric over the queries; NaN without queries.

    >>> summarise([1, 2, 4], ["mrr", "recall@2"])
    {'mrr': 0.5833333333333334, 'recall@2': 0.6666666666666666}
    """
    ranks = np.asarray(ranks_U)
    return {name: float(parse(name).per_query(ranks).mean()) if ranks.size else float("nan") for name in names}
