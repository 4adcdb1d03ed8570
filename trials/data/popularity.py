"""What popularity says of items, as the start of a trained bias."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trials.data.preparing.dataset import SearchData


def popularity_bias(data: SearchData) -> Tensor:
    """`log((n_i + 1) / (E + N))`, `[N]`, of n_i among E training interactions; the 1 keeps unseen items finite."""
    share_N = (data.popularity_N() + 1) / (len(data.train_items) + data.num_items)
    return torch.from_numpy(np.log(share_N)).float()
