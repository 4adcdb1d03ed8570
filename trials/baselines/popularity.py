"""The model of `Popularity`: one count an item, no parameters. Shape letters: `B` queries, `N` items."""

from __future__ import annotations

import torch
from torch import Tensor

from trials.counted.model import Counted
from trials.data.preparing.dataset import IntArray, Queries


class PopularityModel(Counted):
    """Scores an item by its training interactions, the same for everybody.

    Args:
        counts_N: `[N]` training interactions of each item.
    """

    counts_N: Tensor

    def __init__(self, counts_N: IntArray) -> None:
        super().__init__()
        # float64 holds every count below 2^53 exactly, so only items of equal counts tie.
        self.register_buffer("counts_N", torch.as_tensor(counts_N, dtype=torch.float64))

    def scores(self, queries: Queries) -> Tensor:
        """The counts for every query, `[B, N]`."""
        return self.counts_N.expand(len(queries), -1)
