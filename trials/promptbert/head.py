"""Item vectors of their own for the logits, of conditioned states.

Shape letters: `R` states, `N` items, `D` width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEXT_SPREAD = 0.1
"""Length of each item's vector at the start: of a whitened state's length of about 20 (D = 384), an item that is the
same as what was met gets a logit of 2, and others a spread of 0.1."""


class TitleHead(nn.Module):
    """`logits = V P (h - m) + b`: vectors V of the items, bias b, and constants m and P that whiten states at [MASK].

    It is linear as the product with the title tokens' embeddings is (section 3.1), but its vectors are not those of the
    input, and m and P are taken once from the states of real histories before any training: those of different users
    differ in a few directions only, and a step of Adam would move all users' logits together.

    Args:
        width: D.
        bias_N: Initial b.
        dropout: Of P (h - m), in [0, 1).
    """

    centre_D: Tensor
    whitening_DD: Tensor

    def __init__(self, width: int, bias_N: Tensor, dropout: float) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(len(bias_N), width))
        self.bias = nn.Parameter(bias_N.clone())
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("centre_D", torch.zeros(width))  # persistent: a checkpoint's V is for its own m and P
        self.register_buffer("whitening_DD", torch.eye(width))

    def whiten(self, h_RD: Tensor, ridge: float) -> None:
        """Set m to the states' mean and `P = (C + ridge tr(C) / D)^(-1/2)`, C their covariance."""
        self.centre_D.copy_(h_RD.mean(0))
        x_RD = (h_RD - h_RD.mean(0)).double()
        variances_D, axes_DD = torch.linalg.eigh(x_RD.T @ x_RD / len(x_RD))
        variances_D = variances_D.clamp(min=0)
        floor = (ridge * variances_D.mean()).clamp(min=1e-12)
        self.whitening_DD.copy_((axes_DD * (variances_D + floor).rsqrt()) @ axes_DD.T)

    @torch.no_grad()
    def start_from(self, h_ND: Tensor) -> None:
        """Let every item's vector point to the state that follows a history of that item alone."""
        self.vectors.copy_(TEXT_SPREAD * F.normalize(self.condition(h_ND), dim=-1))

    def condition(self, h_RD: Tensor) -> Tensor:
        """`P (h - m)`: `[R, D]`."""
        return (h_RD - self.centre_D) @ self.whitening_DD

    def forward(self, h_RD: Tensor) -> Tensor:
        """Logits `[R, N]`."""
        return F.linear(self.dropout(self.condition(h_RD)), self.vectors, self.bias)
