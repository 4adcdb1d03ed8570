"""The space in which users and items are compared: what is done to the language model's outputs before the cosine.

Without any option it is eq. 2 on the outputs themselves. Shape letters: `R` states, `N` items, `D` width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trials.laser.losses import cosines
from trials.nn.whitening import whitening

USERS, ITEMS = 0, 1
"""Rows of the means."""


class Comparison(nn.Module):
    """`x = P (h - m)` with constants of the untrained model; then `x + B x + b` of users and `x + A x + w v` of items.

    What trains here is what gives items a gradient: their outputs are constants of an epoch (section 4.3.2), A and v
    are not, and cost no pass through the language model. v, an item's own vector, counts `w = n / (n + k)`, with n the
    item's training interactions: what little is known of an item is not learnt by heart.

    Args:
        width: D.
        num_items: N.
        whiten: Whether m and P are fitted, by `fit`; the identity otherwise.
        project: Whether there are B, b and A, which start at zero.
        vector_weights_N: w of each item's v, which starts at zero; None for no v.
        dropout: Of users' x, in [0, 1).
        bias_N: Start of a trained addition to each item's score; None for none.

    Source: ours; Laser compares h_u and h_i (eq. 2).
    """

    mean_2D: Tensor | None
    whitening_DD: Tensor | None
    vector_weights_N: Tensor | None

    def __init__(
        self,
        width: int,
        num_items: int,
        *,
        whiten: bool,
        project: bool,
        vector_weights_N: Tensor | None,
        bias_N: Tensor | None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_buffer("mean_2D", torch.zeros(2, width) if whiten else None)
        self.register_buffer("whitening_DD", torch.eye(width) if whiten else None)
        self.of_users = nn.Linear(width, width) if project else None
        self.of_items = nn.Linear(width, width, bias=False) if project else None
        for linear in (self.of_users, self.of_items):
            if linear is not None:
                nn.init.zeros_(linear.weight)
        if self.of_users is not None:
            nn.init.zeros_(self.of_users.bias)
        self.vectors_ND = None if vector_weights_N is None else nn.Parameter(torch.zeros(num_items, width))
        self.register_buffer("vector_weights_N", vector_weights_N)
        self.dropout = nn.Dropout(dropout)
        self.bias_N = None if bias_N is None else nn.Parameter(bias_N.clone())

    @torch.no_grad()
    def fit(self, users_RD: Tensor, items_ND: Tensor, ridge: float) -> None:
        """Set m to the means of users and of items, and P to the whitening of what both deviate from theirs."""
        assert self.mean_2D is not None
        assert self.whitening_DD is not None
        self.mean_2D[USERS] = users_RD.mean(0)
        self.mean_2D[ITEMS] = items_ND.mean(0)
        centred_RD = torch.cat([users_RD - self.mean_2D[USERS], items_ND - self.mean_2D[ITEMS]])
        self.whitening_DD.copy_(whitening(centred_RD, ridge))

    def users(self, h_RD: Tensor) -> Tensor:
        """Users as they are compared, `[R, D]`."""
        x_RD: Tensor = self.dropout(self._conditioned(h_RD, USERS))
        return x_RD if self.of_users is None else x_RD + self.of_users(x_RD)

    def items(self, h_ND: Tensor) -> Tensor:
        """All items as they are compared, `[N, D]`."""
        x_ND = self._conditioned(h_ND, ITEMS)
        if self.of_items is not None:
            x_ND = x_ND + self.of_items(x_ND)
        if self.vectors_ND is None:
            return x_ND
        assert self.vector_weights_N is not None
        return x_ND + self.vector_weights_N.unsqueeze(1) * self.vectors_ND

    def logits(self, users_RD: Tensor, items_ND: Tensor, temperature: float) -> Tensor:
        """`cos(u, i) / τ` and each item's bias, `[R, N]`, of users and items as they are compared."""
        logits_RN = cosines(users_RD, items_ND) / temperature
        return logits_RN if self.bias_N is None else logits_RN + self.bias_N

    def _conditioned(self, h_RD: Tensor, row: int) -> Tensor:
        if self.mean_2D is None:
            return h_RD
        assert self.whitening_DD is not None
        return (h_RD - self.mean_2D[row]) @ self.whitening_DD
