"""Users whose histories read alike. Shape letters: `U` users, `N` items, `W` width of texts, `K` similar users."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trials.data.preparing.dataset import SearchData

_AT_ONCE = 1024


def similar_users(data: SearchData, texts_NW: Tensor, count: int) -> NDArray[np.int64]:
    """For every user the `count` nearest others, `[U, K]`, by the cosine of their histories' mean text vectors.

    Source: Liu et al., NeurIPS 2024, section 3.4, "retrieval". Differs: a user's vector is the mean of the items' where
    the paper has a language model read the history as a prompt. Users without a training item are never nearest.

    Args:
        count: K; fewer if there are not so many other users with a training item, of whom there must be one.
    """
    lengths_U = torch.from_numpy(np.diff(data.train_offsets))
    count = min(count, int((lengths_U > 0).sum()) - 1)
    owner_E = torch.repeat_interleave(torch.arange(len(lengths_U)), lengths_U)
    centred_NW = texts_NW - texts_NW.mean(0)
    items_E = torch.from_numpy(np.asarray(data.train_items, dtype=np.int64))
    sums_UW = torch.zeros(len(lengths_U), texts_NW.shape[1]).index_add_(0, owner_E, centred_NW[items_E])
    users_UW = F.normalize(sums_UW, dim=-1)
    found = []
    for start in range(0, len(users_UW), _AT_ONCE):
        cosines_BU = users_UW[start : start + _AT_ONCE] @ users_UW.T
        cosines_BU[:, lengths_U == 0] = -2.0
        here = torch.arange(len(cosines_BU))
        cosines_BU[here, start + here] = -3.0
        found.append(cosines_BU.topk(count).indices)
    nearest: NDArray[Any] = torch.cat(found).numpy()
    return nearest
