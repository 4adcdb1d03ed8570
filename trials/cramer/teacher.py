"""What masks may be taught beside next items: to rank as the backbone's scores and the texts' cosine together do.

Shape letters: `B` requests, `I` training requests, `W` width of the request encoder, `N` items.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class TextTeacher:
    """Scores `f(i) + γ cos(e_q - m_q, e_i - m)`, with m_q and m the means over training requests and item texts.

    A few thousand requests are too few to learn from next items what words mean, and a backbone knows the items of its
    training by heart. The encoder knows what words mean, and no item to be predicted is in what it says: the teacher
    sees a request, a history and the items' texts. It is no part of the model; answers take masks alone.

    Args:
        requests_IW: `e_q` of the training requests.
        items_NW: `e_i`, of the items' texts.
        weight: γ, > 0.

    Source: the score of BLaIR, a baseline of the paper's (appendix B.7), up to a factor; the vectors are centred here,
    as those of one encoder point almost the same way. That masks learn from it is ours.
    """

    def __init__(self, requests_IW: Tensor, items_NW: Tensor, weight: float) -> None:
        self._mean_W = requests_IW.mean(0)
        self._items_NW = F.normalize(items_NW - items_NW.mean(0), dim=1)
        self._weight = weight

    def scores(self, bare_BN: Tensor, requests_BW: Tensor) -> Tensor:
        """`[B, N]`, from the bare backbone's scores."""
        device = bare_BN.device
        queries_BW = F.normalize(requests_BW.to(device) - self._mean_W.to(device), dim=1)
        return bare_BN + self._weight * queries_BW @ self._items_NW.to(device).T

    def divergence(self, scores_BN: Tensor, bare_BN: Tensor, requests_BW: Tensor) -> Tensor:
        """Mean of `KL(softmax(teacher) || softmax(scores))` over the batch, >= 0."""
        taught_BN = torch.log_softmax(self.scores(bare_BN, requests_BW), dim=1)
        return F.kl_div(torch.log_softmax(scores_BN, dim=1), taught_BN, reduction="batchmean", log_target=True)
