"""The item embeddings that users are compared with, and the best epoch of the first of two phases.

Laser (section 4.3.2) and RecFormer (Algorithm 1) train so. Shape letters: `N` items, `D` width of the language model,
`W` trained weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class ItemMemory(nn.Module):
    """Item embeddings in use, and those and the weights of phase 1's best epoch.

    All of it are persistent buffers, so that a training that goes on from a checkpoint has what the interrupted one
    had. Recomputing in place of keeping is not possible: phase 2's item embeddings come from weights at the start of
    an earlier epoch, and those in use within phase 1 from weights before the last epoch's steps.

    Args:
        num_items: N.
        width: D.
        num_weights: W if a phase 2 will start from the best epoch of a phase 1, else 0.
    """

    items_ND: Tensor
    encoded: Tensor
    best_items_ND: Tensor
    best_weights_W: Tensor
    best_value: Tensor

    def __init__(self, num_items: int, width: int, num_weights: int) -> None:
        super().__init__()
        kept = num_items if num_weights else 0
        self.register_buffer("items_ND", torch.zeros(num_items, width))
        self.register_buffer("encoded", torch.zeros((), dtype=torch.bool))
        self.register_buffer("best_items_ND", torch.zeros(kept, width))
        self.register_buffer("best_weights_W", torch.zeros(num_weights))
        self.register_buffer("best_value", torch.full((), -math.inf, dtype=torch.float64))

    @torch.no_grad()
    def use(self, items_ND: Tensor) -> None:
        """Put these item embeddings to use."""
        self.items_ND.copy_(items_ND)
        self.encoded.fill_(True)

    @torch.no_grad()
    def consider(self, value: float, weights: Iterable[Tensor]) -> None:
        """Keep the present epoch if its validation is the best so far; of equal ones the earlier is kept."""
        if not len(self.best_weights_W) or not value > float(self.best_value):
            return
        self.best_value.fill_(value)
        self.best_items_ND.copy_(self.items_ND)
        self.best_weights_W.copy_(torch.cat([weight.detach().flatten() for weight in weights]))

    @torch.no_grad()
    def return_to_best(self, weights: Iterable[Tensor]) -> bool:
        """Put the best epoch's item embeddings to use and write its weights back; False if there is no such epoch."""
        if not math.isfinite(float(self.best_value)):
            return False
        self.use(self.best_items_ND)
        start = 0
        for weight in weights:
            weight.copy_(self.best_weights_W[start : start + weight.numel()].view_as(weight))
            start += weight.numel()
        return True
