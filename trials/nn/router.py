"""The gate that mixes two branches token by token. Neighbour: `adapter.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Router(nn.Module):
    """`β = softmax([q, p] W + b)`, `h = β1 q + β2 p`, for every token by itself.

    Args:
        width: Width `D` of q and of p.
        hard: Send each token to the likelier branch alone; the gradient is that of the soft gate (straight-through).
        floor: f, least weight of either branch, in [0, 0.5): `β = f + (1 - 2 f) softmax(...)`. Ours.

    W and b start at zero, so both branches begin with weight 1/2.

    Source: DARec, section 2.3.3, Router. The paper gives no initial values.
    """

    def __init__(self, width: int, *, hard: bool = False, floor: float = 0.0) -> None:
        super().__init__()
        self.hard = hard
        self.floor = floor
        self.gate = nn.Linear(2 * width, 2)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def weights(self, q_SD: Tensor, p_SD: Tensor) -> Tensor:
        """`β`, `[S, 2]`: rows are non-negative and sum to 1; column 0 belongs to q."""
        width = q_SD.shape[-1]
        w_q, w_p = self.gate.weight[:, :width], self.gate.weight[:, width:]
        # [q, p] W without writing [q, p] down: it is twice as wide as anything else in the layer.
        beta_S2 = torch.softmax(nn.functional.linear(q_SD, w_q, self.gate.bias) + nn.functional.linear(p_SD, w_p), -1)
        if self.floor:
            beta_S2 = self.floor + (1 - 2 * self.floor) * beta_S2
        if not self.hard:
            return beta_S2
        chosen_S2 = nn.functional.one_hot(beta_S2.argmax(-1), 2).to(beta_S2.dtype)
        return chosen_S2 + beta_S2 - beta_S2.detach()

    def forward(self, q_SD: Tensor, p_SD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixture `[S, D]` and the weights `[S, 2]`."""
        beta_S2 = self.weights(q_SD, p_SD)
        # β1 q + β2 p = p + β1 (q - p), since β1 + β2 = 1: one product fewer, forwards and backwards.
        return torch.addcmul(p_SD, beta_S2[:, :1], q_SD - p_SD), beta_S2
