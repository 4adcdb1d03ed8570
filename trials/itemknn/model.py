"""ItemKNN as a recommender. Shape letters: `U` users, `B` queries, `N` items, `R` a block of items, `K` neighbours."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from trials.counted.matrix import heaviest, met
from trials.counted.model import Counted
from trials.data.preparing.dataset import Queries, SearchData
from trials.itemknn.config import ItemKNNConfig

CELLS = 1 << 22
"""Similarities are computed for blocks of at most so many pairs of items, which bounds memory (about 150 MB)."""


class ItemKNNModel(Counted):
    """Scores an item by the sum of its similarities to the history's items of which it is one of the k nearest.

    Source: Deshpande and Karypis, TOIS 2004, section 4.1 (figures 1 and 2).

    Args:
        items_NK: `[N, K]` nearest items of each item.
        similarities_NK: `[N, K]`, 0 where there are fewer.
    """

    items_NK: Tensor
    similarities_NK: Tensor

    def __init__(self, items_NK: Tensor, similarities_NK: Tensor) -> None:
        super().__init__()
        self.register_buffer("items_NK", items_NK)
        self.register_buffer("similarities_NK", similarities_NK)

    def scores(self, queries: Queries) -> Tensor:
        """Sums of similarities, `[B, N]`, >= 0."""
        num_items = self.items_NK.shape[0]
        device = self.items_NK.device
        rows_E = torch.as_tensor(np.repeat(np.arange(len(queries)), np.diff(queries.offsets)), device=device)
        items_E = torch.as_tensor(np.asarray(queries.items, dtype=np.int64), device=device)
        scores = torch.zeros(len(queries) * num_items, device=device)
        cells_EK = rows_E[:, None] * num_items + self.items_NK[items_E]
        scores.index_add_(0, cells_EK.flatten(), self.similarities_NK[items_E].flatten())
        return scores.view(len(queries), num_items)


def find(config: ItemKNNConfig, data: SearchData) -> ItemKNNModel:
    """Find the k nearest of every item by the shrunk cosine of the users who met them.

    `s_ij = |U_i & U_j| / (sqrt(|U_i| |U_j|) + shrinkage)`: Sarwar et al., section 3.1.1, on who met what (a repeated
    interaction counts once), with a constant in the denominator as in RecBole and elsewhere; the papers have none.
    With `normalise` the similarities to an item's neighbours add up to 1 (Deshpande and Karypis, section 4.2.1).
    """
    met_UN = met(data)
    users_N = np.asarray(met_UN.sum(axis=0))
    met_NU = met_UN.T.tocsr()
    num_items = data.num_items
    kept = []
    block = max(1, CELLS // num_items)
    for start in range(0, num_items, block):
        stop = min(start + block, num_items)
        common = sparse.coo_array(met_NU[start:stop] @ met_UN)
        item, other = common.row + start, common.col
        near = common.data / (np.sqrt(users_N[item] * users_N[other]) + config.shrinkage)
        apart = item != other
        shape = (stop - start, num_items)
        kept.append(
            heaviest(sparse.csr_array((near[apart], (common.row[apart], other[apart])), shape), config.neighbours)
        )
    items_NK = np.concatenate([items for items, _ in kept])
    near_NK = np.concatenate([near for _, near in kept])
    if config.normalise:
        near_NK /= np.maximum(near_NK.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return ItemKNNModel(torch.from_numpy(items_NK), torch.from_numpy(near_NK))


def blank(config: ItemKNNConfig, num_items: int) -> ItemKNNModel:
    """A model of the right shapes without neighbours."""
    kept = (num_items, min(config.neighbours, num_items))
    return ItemKNNModel(torch.zeros(kept, dtype=torch.int32), torch.zeros(kept))
