"""The item projection: one linear layer from the language model's states to all items."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.dual.inputs import ALIGN, SEQ

WEIGHT_STD = 1e-3
"""Standard deviation of W at the start, so that the first logits are `b_item` and a little noise.

The states of a pretrained model are long (a norm of about 40 for SmolLM2): torch's default for a linear layer gives
first logits of spread 1, nearly the same for every user, and training has to undo them first.
"""


class ItemProjection(nn.Module):
    """`W (h - m) / s + b`, logits over all items; m and s are constants set by `centre`, at first 0 and 1.

    For [SEQ] states this is the paper's `W_item h + b_item`, with `W_item = W / s` and `b_item = b - W m / s`. The
    states of different users point almost the same way (cosine 0.99 for the first layers of SmolLM2), so a step of
    Adam on W_item itself moves all users' logits together, about a hundred times as far as it moves them apart.

    Args:
        width: D.
        bias_N: Initial b.

    Source: DARec, sections 2.2.2 and 2.2.3; W and b are shared by both. Differs: once `centre` was called, [ALIGN]
    states are read less a mean of their own. The two means are three times as far apart as an item's state is from
    its mean, and with one m for both, L_align spends its steps on that distance and undoes b.
    """

    centre_2D: Tensor
    scale: Tensor

    def __init__(self, width: int, bias_N: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(bias_N))
        nn.init.normal_(self.linear.weight, std=WEIGHT_STD)
        with torch.no_grad():
            self.linear.bias.copy_(bias_N)
        self.register_buffer("centre_2D", torch.zeros(2, width))  # persistent: a checkpoint's W is for its own m and s
        self.register_buffer("scale", torch.ones(()))

    @property
    def num_items(self) -> int:
        """N."""
        return self.linear.out_features

    def centre(self, seq_RD: Tensor, align_AD: Tensor) -> None:
        """Set both m to the states' means, and s to the [SEQ] states' spread about theirs, averaged over channels."""
        self.centre_2D[SEQ] = seq_RD.mean(0)
        self.centre_2D[ALIGN] = align_AD.mean(0)
        self.scale.copy_(seq_RD.std(0).mean().clamp(min=1e-6) if len(seq_RD) > 1 else torch.ones(()))

    def forward(self, h_RD: Tensor, special: int) -> Tensor:
        """Logits `[R, N]` of the states of one special token, `SEQ` or `ALIGN`."""
        return F.linear((h_RD - self.centre_2D[special]) / self.scale, self.linear.weight, self.linear.bias)
