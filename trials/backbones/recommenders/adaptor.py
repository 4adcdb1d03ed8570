"""From text vectors to item vectors: whitenings that are learnt, mixed by a gate for each item.

Shape letters: `M` items, `W` width of text vectors, `D` width, `G` experts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.transformer import INITIAL_STD


class Adaptor(nn.Module):
    """A mixture of parametric whitenings.

    Source: Hou et al., KDD 2022, section 2.1.2, eq. 3 to 5: `(x - b) W` for each expert, weighed by
    `softmax(x W_1 + δ)`, δ normal noise of a spread `softplus(x W_2)` in training. As the authors' code: dropout before
    an expert, gates that start at zero.

    Args:
        text_width: `W`.
        width: `D`.
        experts: `G`.
        dropout: In [0, 1).
    """

    def __init__(self, text_width: int, width: int, experts: int, dropout: float) -> None:
        super().__init__()
        self.centres_GW = nn.Parameter(torch.zeros(experts, text_width))
        self.whitenings_GWD = nn.Parameter(torch.empty(experts, text_width, width))
        self.gate_WG = nn.Parameter(torch.zeros(text_width, experts))
        self.noise_WG = nn.Parameter(torch.zeros(text_width, experts))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.whitenings_GWD, std=INITIAL_STD)

    def forward(self, texts_MW: Tensor) -> Tensor:
        """Item vectors `[M, D]`."""
        weights_MG = self.gates(texts_MW)
        dropped_MW = self.dropout(texts_MW)
        mixed = torch.einsum("mw,gwd->mgd", dropped_MW, self.whitenings_GWD)
        offsets_GD = torch.einsum("gw,gwd->gd", self.centres_GW, self.whitenings_GWD)
        return torch.einsum("mg,mgd->md", weights_MG, mixed - offsets_GD)

    def gates(self, texts_MW: Tensor) -> Tensor:
        """Weights `[M, G]` of the experts, with noise in training."""
        logits_MG = texts_MW @ self.gate_WG
        if self.training:
            logits_MG = logits_MG + torch.randn_like(logits_MG) * (F.softplus(texts_MW @ self.noise_WG) + 1e-2)
        return logits_MG.softmax(-1)
