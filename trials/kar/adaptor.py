"""From text vectors to augmented vectors: experts that users and items share, and experts of each.

Shape letters: `M` texts, `W` width of text vectors, `G` experts, `H` inner width, `V` width of augmented vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Experts(nn.Module):
    """Networks of two layers side by side, each layer with ReLU and dropout, as in the authors' code.

    Args:
        count: G, >= 1.
        text_width: W.
        inner: H.
        width: V.
        dropout: In [0, 1).
    """

    def __init__(self, count: int, text_width: int, inner: int, width: int, dropout: float) -> None:
        super().__init__()
        self.count = count
        self.first = nn.Linear(text_width, count * inner)
        self.second_GHV = nn.Parameter(torch.empty(count, inner, width).uniform_(-(inner**-0.5), inner**-0.5))
        self.bias_GV = nn.Parameter(torch.zeros(count, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, texts_MW: Tensor) -> Tensor:
        """What each makes of each text: `[M, G, V]`."""
        inner_MGH = self.dropout(F.relu(self.first(texts_MW))).view(len(texts_MW), self.count, -1)
        outer_MGV = torch.einsum("mgh,ghv->mgv", inner_MGH, self.second_GHV) + self.bias_GV
        made: Tensor = self.dropout(F.relu(outer_MGV))
        return made


class HybridExpertAdaptor(nn.Module):
    """`r̂ = Σ_e softmax(g(r))_e e(r)` over the shared experts and those of a kind, with a gate g of each kind.

    Source: Xi et al., RecSys 2024, "hybrid-expert adaptor": shared experts for what is common to
    preference and factual knowledge, dedicated ones for what is not.

    Args:
        kinds: Kinds of knowledge.
        text_width: W.
        shared: Shared experts, >= 0.
        own: Experts of each kind, >= 0; both together >= 1.
        inner: H.
        width: V.
        dropout: In [0, 1).
    """

    def __init__(
        self, kinds: Sequence[str], text_width: int, shared: int, own: int, inner: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        sizes = (text_width, inner, width, dropout)
        self.shared = Experts(shared, *sizes) if shared else None
        self.own = nn.ModuleDict({kind: Experts(own, *sizes) for kind in kinds if own})
        self.gates = nn.ModuleDict({kind: nn.Linear(text_width, shared + own) for kind in kinds})

    def forward(self, texts_MW: Tensor, kind: str) -> Tensor:
        """Augmented vectors `[M, V]` of one kind of knowledge."""
        made = [] if self.shared is None else [self.shared(texts_MW)]
        if kind in self.own:
            made.append(self.own[kind](texts_MW))
        weights_MG = self.gates[kind](texts_MW).softmax(-1)
        return torch.einsum("mg,mgv->mv", weights_MG, torch.cat(made, dim=1))
