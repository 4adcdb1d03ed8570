"""The mixture of experts over the encoder's states (section 3.2).

Shape letters: `B` prompts, `L` places, `D` width, `N` experts, `K` experts of a prompt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MixtureOfExperts(nn.Module):
    """`Z = Σ_{e in K} p_e f_e(H)` with `p = softmax(W_p h_0)`: [CLS] sends the whole prompt to `K` experts.

    Each expert is a two-layer feed-forward network of width `D`, applied to every place. The kept `p_e` are not
    scaled up to sum to 1, as the equation has it. The experts' activation is GELU, which the paper does not name.
    Nothing balances the experts' load, as in the paper: where [CLS] hardly differs from user to user, all prompts may
    go to the same experts, which the metrics `gate/expert<e>` show.

    Args:
        width: `D`.
        experts: `N`.
        top_k: `K <= N`.
        centred: Whether the gate has a bias, which `centre` lets begin at what makes the experts equal on average
            (ours). Without one, what all [CLS] have in common decides at the start, and it decides alike for all.
    """

    def __init__(self, width: int, experts: int, top_k: int, *, centred: bool = False) -> None:
        super().__init__()
        self.top_k = top_k
        self.gate = nn.Linear(width, experts, bias=centred)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)) for _ in range(experts)
        )

    def weights(self, states_BLD: Tensor) -> Tensor:
        """`[B, N]` gate scores, 0 for the experts that a prompt is not sent to."""
        p_BN = torch.softmax(self.gate(states_BLD[:, 0]).float(), dim=-1)
        values_BK, chosen_BK = p_BN.topk(self.top_k, dim=-1)
        return torch.zeros_like(p_BN).scatter(1, chosen_BK, values_BK)

    @torch.no_grad()
    def centre(self, cls_RD: Tensor) -> None:
        """Let the gate's bias take away what it gives the mean of these [CLS]."""
        self.gate.bias.copy_(-F.linear(cls_RD.mean(0), self.gate.weight))

    def forward(self, states_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixture `[B, L, D]` and the weights `[B, N]`."""
        p_BN = self.weights(states_BLD)
        return self.mix(states_BLD, p_BN), p_BN

    def mix(self, states_BLD: Tensor, p_BN: Tensor) -> Tensor:
        """The mixture `[B, L, D]` under given weights. Each expert sees the prompts sent to it only."""
        mixed_BLD = torch.zeros_like(states_BLD)
        for e, expert in enumerate(self.experts):
            rows_R = torch.nonzero(p_BN[:, e]).squeeze(1)
            if len(rows_R):
                out_RLD = p_BN[rows_R, e, None, None] * expert(states_BLD[rows_R])
                mixed_BLD = mixed_BLD.index_add(0, rows_R, out_RLD.to(mixed_BLD.dtype))
        return mixed_BLD
