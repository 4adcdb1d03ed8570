"""The first items of a ranking: the same ones on every device, whatever the batch.

Shape letters: `B` queries, `N` items, `K` first items.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trials.data.preparing.dataset import Queries

NO_ITEM = -1
"""Stands where there are fewer items than places."""


def best_items(scores_BN: Tensor, count: int, excluded: Queries | None = None) -> tuple[Tensor, Tensor]:
    """The items with the highest scores, best first; of equal scores the earlier item first.

    `torch.topk` leaves open which of equal scores it takes, so rows whose last place is not clear are looked at again:
    with a model that scores by counts, they are many.

    Args:
        scores_BN: Without NaN, see `nan_last`; what is -inf is in no list.
        count: K; with fewer than K items in all, K is their number.
        excluded: `B` histories whose items are in no list.

    Returns:
        `[B, K]` items, `NO_ITEM` where there are fewer, and `[B, K]` their scores, -inf there.
    """
    if excluded is not None and len(excluded.items):
        scores_BN = scores_BN.clone()
        scores_BN[cells_of(excluded, scores_BN)] = -torch.inf
    count = min(count, scores_BN.shape[1])
    values, items = scores_BN.topk(min(count + 1, scores_BN.shape[1]), dim=1)
    last_B1, items_BK = values[:, count - 1 : count], items[:, :count]
    unclear = (values[:, count:] == last_B1).any(dim=1) & (last_B1[:, 0] > -torch.inf)
    if bool(unclear.any()):
        items_BK = items_BK.clone()
        rows = unclear.nonzero()[:, 0]
        some, last = scores_BN[rows], last_B1[rows]
        above, equal = some > last, some == last
        left = count - above.sum(dim=1, keepdim=True)
        taken = above | (equal & (equal.cumsum(dim=1) <= left))
        items_BK[rows] = taken.nonzero()[:, 1].view(-1, count)
    items_BK = items_BK.sort(dim=1).values
    values_BK, order = scores_BN.gather(1, items_BK).sort(dim=1, descending=True, stable=True)
    items_BK = items_BK.gather(1, order)
    return torch.where(values_BK == -torch.inf, NO_ITEM, items_BK), values_BK


def nan_last(scores_BN: Tensor) -> Tensor:
    """Scores with -inf in place of NaN."""
    return torch.where(scores_BN.isnan(), -torch.inf, scores_BN)


def cells_of(queries: Queries, scores_BN: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and items of all that is in the histories, as an index into scores."""
    rows = np.repeat(np.arange(len(queries)), np.diff(queries.offsets))
    return (
        torch.as_tensor(rows, device=scores_BN.device),
        torch.as_tensor(np.asarray(queries.items).astype(np.int64), device=scores_BN.device),
    )
