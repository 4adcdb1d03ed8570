"""The model of `Popularity`: one count an item, no parameters. Shape letters: `B` queries, `N` items."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trials.data.dataset import IntArray, Queries
from trials.training.recommender import Losses, Recommender


class PopularityModel(Recommender):
    """Scores an item by its training interactions, the same for everybody.

    Args:
        counts_N: `[N]` training interactions of each item.
    """

    counts_N: Tensor

    def __init__(self, counts_N: IntArray) -> None:
        super().__init__()
        # float64 holds every count below 2^53 exactly, so only items of equal counts tie.
        self.register_buffer("counts_N", torch.as_tensor(counts_N, dtype=torch.float64))

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[None]:
        """No batches: there is nothing to train."""
        return iter(())

    def num_batches(self) -> int:
        """0."""
        return 0

    def loss(self, batch: None) -> Losses:
        """Never asked for: the loop trains nothing without parameters."""
        return {}

    def scores(self, queries: Queries) -> Tensor:
        """The counts for every query, `[B, N]`."""
        return self.counts_N.expand(len(queries), -1)
