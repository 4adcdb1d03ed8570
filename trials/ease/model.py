"""EASE^R as a recommender. Shape letters: `U` users, `B` queries, `N` items."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from searchplat.errors import InputError
from trials.counted.matrix import met
from trials.counted.model import Counted
from trials.data.preparing.dataset import Queries, SearchData
from trials.ease.config import EASEConfig

MOST_ITEMS = 40_000
"""The solution takes about 24 N^2 bytes for a moment (10 GB at 20,000 items), and its weights 4 N^2 ever after."""


class EASEModel(Counted):
    """Scores an item by the sum of its weights from the history's items.

    Args:
        weights_NN: `[N, N]` float32 B of the paper, zero on the diagonal.
    """

    weights_NN: Tensor

    def __init__(self, weights_NN: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights_NN", weights_NN)

    def scores(self, queries: Queries) -> Tensor:
        """`x B` with x the items of each history, each once, `[B, N]` (section 3.1)."""
        device, num_items = self.weights_NN.device, self.weights_NN.shape[0]
        rows_E = np.repeat(np.arange(len(queries)), np.diff(queries.offsets))
        rows, items = np.divmod(np.unique(rows_E * num_items + queries.items), num_items)
        offsets_B = np.searchsorted(rows, np.arange(len(queries)))
        # A sum of as many rows as a history is long: a product with x would go through all N.
        return F.embedding_bag(
            torch.as_tensor(items, device=device),
            self.weights_NN,
            torch.as_tensor(offsets_B, device=device),
            mode="sum",
        )


def solve(config: EASEConfig, data: SearchData, device: str = "cpu") -> EASEModel:
    """Solve `min |X - X B|^2 + l2 |B|^2` with zeros on B's diagonal.

    With `P = (X^T X + l2 I)^-1` the solution is `B_ij = -P_ij / P_jj` for i != j (Steck 2019, eq. 8). X holds who met
    what, a repeated interaction once. Solved in float64: P's entries differ by orders of magnitude.

    Raises:
        InputError: If there are more than `MOST_ITEMS` items.
    """
    if data.num_items > MOST_ITEMS:
        raise InputError(
            f"method ease: solves for all pairs of at most {MOST_ITEMS:,} items, but data {data.name} has "
            f"{data.num_items:,}; filter items by the data option min_item, or leave this method out"
        )
    met_UN = met(data)
    gram_NN = torch.from_numpy((met_UN.T @ met_UN).toarray()).to(device)
    gram_NN.diagonal().add_(config.l2)
    torch.linalg.cholesky(gram_NN, out=gram_NN)
    inverse_NN = torch.cholesky_inverse(gram_NN)
    del gram_NN
    inverse_NN.div_(-inverse_NN.diagonal().clone())
    inverse_NN.diagonal().zero_()
    return EASEModel(inverse_NN.float())


def blank(num_items: int) -> EASEModel:
    """A model of the right shape without weights."""
    return EASEModel(torch.zeros(num_items, num_items))
