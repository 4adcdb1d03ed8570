"""The item projection: one linear layer from the language model's states to all items."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHT_STD = 1e-3
"""Standard deviation of W at the start, so that the first logits are `b_item` and a little noise.

The states of a pretrained model are long (a norm of about 40 for SmolLM2): torch's default for a linear layer gives
first logits of spread 1, nearly the same for every user, and training has to undo them first.
"""


class ItemProjection(nn.Module):
    """`W (h - m) / s + b`, logits over all items; m and s are constants set by `centre`, at first 0 and 1.

    This is the paper's `W_item h + b_item` with `W_item = W / s` and `b_item = b - W m / s`. The states of different
    users point almost the same way (cosine 0.99 for the first layers of SmolLM2), so a step of Adam on W_item itself
    moves all users' logits together, about a hundred times as far as it moves them apart.

    Args:
        width: D.
        bias_N: Initial b.

    Source: DARec, sections 2.2.2 and 2.2.3; shared by both.
    """

    centre_D: Tensor
    scale: Tensor

    def __init__(self, width: int, bias_N: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(bias_N))
        nn.init.normal_(self.linear.weight, std=WEIGHT_STD)
        with torch.no_grad():
            self.linear.bias.copy_(bias_N)
        self.register_buffer("centre_D", torch.zeros(width))  # persistent: a checkpoint's W is for its own m and s
        self.register_buffer("scale", torch.ones(()))

    @property
    def num_items(self) -> int:
        """N."""
        return self.linear.out_features

    def centre(self, states_RD: Tensor) -> None:
        """Set m to the states' mean, and s to their spread about it, averaged over the channels."""
        self.centre_D.copy_(states_RD.mean(0))
        self.scale.copy_(states_RD.std(0).mean().clamp(min=1e-6) if len(states_RD) > 1 else torch.ones(()))

    def forward(self, h_RD: Tensor) -> Tensor:
        """Logits `[R, N]`."""
        return F.linear((h_RD - self.centre_D) / self.scale, self.linear.weight, self.linear.bias)
