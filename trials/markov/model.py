"""Markov as a recommender.

Shape letters: `B` queries, `Q` of them with a history, `N` items, `K` successors kept, `E` interactions.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from trials.counted.matrix import heaviest
from trials.counted.model import Counted
from trials.data.preparing.dataset import Queries, SearchData
from trials.markov.config import MarkovConfig


class MarkovModel(Counted):
    """Scores an item by its chance to come next after a history's last item `i`.

    `P(j | i) = (c_ij + a n_j / n) / (c_i + a)`, where `c_ij` counts how often `j` came right after `i` in a training
    sequence, `c_i = sum_j c_ij`, `n_j` counts the training interactions of `j`, `n = sum_j n_j`, and `a` is the
    smoothing: a Dirichlet prior around popularity, worth `a` transitions. An empty history gets popularity.

    Args:
        items_NK: `[N, K]` successors of each item.
        counts_NK: `[N, K]` `c_ij`, 0 where there are fewer successors.
        totals_N: `[N]` `c_i`, those that are not kept included.
        popularity_N: `[N]` `n_j / n`.
        smoothing: `a`, > 0.
    """

    items_NK: Tensor
    counts_NK: Tensor
    totals_N: Tensor
    popularity_N: Tensor

    def __init__(
        self, items_NK: Tensor, counts_NK: Tensor, totals_N: Tensor, popularity_N: Tensor, smoothing: float
    ) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("items_NK", items_NK)
        self.register_buffer("counts_NK", counts_NK)
        self.register_buffer("totals_N", totals_N)
        self.register_buffer("popularity_N", popularity_N)

    def scores(self, queries: Queries) -> Tensor:
        """`P(j | i)`, `[B, N]` float64: popular items differ by less than float32 tells apart."""
        starts_B, ends_B = queries.offsets[:-1], queries.offsets[1:]
        known_B = ends_B > starts_B
        items_E = np.asarray(queries.items, dtype=np.int64)
        last_Q = torch.as_tensor(items_E[ends_B[known_B] - 1], device=self.totals_N.device)
        rows_Q = torch.as_tensor(np.flatnonzero(known_B), device=last_Q.device)
        scores_BN = (self.smoothing * self.popularity_N).repeat(len(queries), 1)
        followed = scores_BN[rows_Q].scatter_add_(1, self.items_NK[last_Q].long(), self.counts_NK[last_Q].double())
        scores_BN[rows_Q] = followed / (self.totals_N[last_Q] + self.smoothing)[:, None]
        return scores_BN


def count(config: MarkovConfig, data: SearchData) -> MarkovModel:
    """Count who follows whom within the training sequences."""
    items_E = np.asarray(data.train_items, dtype=np.int64)
    first_E = np.zeros(len(items_E) + 1, dtype=bool)
    first_E[data.train_offsets] = True
    follows = np.flatnonzero(~first_E[1:-1]) + 1
    shape = (data.num_items, data.num_items)
    ones = np.ones(len(follows))
    counts_NN = sparse.csr_array((ones, (items_E[follows - 1], items_E[follows])), shape=shape)
    counts_NN.sum_duplicates()
    items_NK, counts_NK = heaviest(counts_NN, config.successors)
    popularity_N = data.popularity_N() / max(1, len(items_E))
    totals_N = np.bincount(items_E[follows - 1], minlength=data.num_items).astype(np.float64)
    items, counts, totals, popularity = map(torch.from_numpy, (items_NK, counts_NK, totals_N, popularity_N))
    return MarkovModel(items, counts, totals, popularity, config.smoothing)


def blank(config: MarkovConfig, num_items: int) -> MarkovModel:
    """A model of the right shapes that has counted nothing."""
    kept = (num_items, min(config.successors, num_items))
    totals_N, popularity_N = (torch.zeros(num_items, dtype=torch.float64) for _ in range(2))
    return MarkovModel(
        torch.zeros(kept, dtype=torch.int32), torch.zeros(kept), totals_N, popularity_N, config.smoothing
    )
