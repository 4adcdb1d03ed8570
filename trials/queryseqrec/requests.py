"""What users ask, as vectors: the data set's own requests, or of the latest items' texts.

Shape letters: `B` windows or queries, `L` places, `W` width of texts, `E` training interactions, `V` different
requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TrainingRequests:
    """What was asked before the training interactions.

    Args:
        rows_E: Row of each interaction's request in `vectors_VW`; `UNASKED` (-1) where it is blank.
        vectors_VW: Of different requests, on the CPU.
    """

    rows_E: Ints
    vectors_VW: Tensor


def of_histories(texts_BLW: Tensor, count: int) -> Tensor:
    """The request that each history makes: the mean of its latest `count` texts' vectors, at every place `[B, L, W]`.

    Source: CRAMER, appendix B.1, where the request is the text of the three interactions before. Differs: the mean of
    the items' vectors and not the vector of their texts in a row, so that each item is read once and not each history.
    """
    length = texts_BLW.shape[1]
    sums_BLW = torch.zeros_like(texts_BLW)
    for back in range(min(count, length)):
        sums_BLW[:, back:] += texts_BLW[:, : length - back]
    read_L1 = torch.arange(1, length + 1, device=texts_BLW.device).clamp(max=count)[:, None]
    return sums_BLW / read_L1
