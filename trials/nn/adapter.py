"""Bottleneck adapters, and the two ways of attaching one to a frozen module. Neighbour: `router.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

W2_STD = 1e-3
"""Standard deviation of W2 at the start: near zero, so that A(h) ≈ h and training begins next to the backbone.

Exactly zero would leave W1 without a gradient in the first step.
"""


class BottleneckAdapter(nn.Module):
    """`A(h) = W2 (W1 h + b1) + b2 + h`, with no activation in between, as the equation is printed.

    Args:
        width: Width `D` of h.
        bottleneck: Rows of W1, >= 1.

    Source: DARec, section 2.2.5. The paper gives no initial values; see `W2_STD`.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.normal_(self.up.weight, std=W2_STD)
        nn.init.zeros_(self.up.bias)

    def forward(self, h_SD: Tensor) -> Tensor:
        """Apply A to the last dimension; shapes are kept."""
        adapted_SD: Tensor = self.up(self.down(h_SD)) + h_SD
        return adapted_SD


class AttachedAdapter(BottleneckAdapter):
    """An adapter attached to a frozen module f in series, `A(f(h))`, or in parallel, `(f(h) + A(h)) / 2`.

    Args:
        width: Width `D`.
        bottleneck: Rows of W1, >= 1.
        parallel: Which of the two.

    Source: DARec, section 2.3.3, serial and parallel adapter.
    """

    def __init__(self, width: int, bottleneck: int, *, parallel: bool = False) -> None:
        super().__init__(width, bottleneck)
        self.parallel = parallel

    def attach(self, inner_SD: Tensor, h_SD: Tensor) -> Tensor:
        """Compose with f, given `inner_SD = f(h)` and f's own input `h_SD`; both `[S, D]`."""
        if self.parallel:
            return torch.add(inner_SD, self(h_SD)) * 0.5
        output_SD: Tensor = self(inner_SD)
        return output_SD
