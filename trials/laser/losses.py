"""Laser's two losses. Shape letters: `B` users, `N` items, `D` width, `K` experts, `P` places of a history."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cosines(users_BD: Tensor, items_ND: Tensor) -> Tensor:
    """`cos(h_u, h_i)` of every user with every item, `[B, N]` in [-1, 1] (eq. 2)."""
    return F.normalize(users_BD, dim=-1) @ F.normalize(items_ND, dim=-1).T


def item_item_contrastive(users_BD: Tensor, items_ND: Tensor, targets_B: Tensor, temperature: float) -> Tensor:
    """L_IIC, averaged over the users: `-log( exp(cos(h_u, h_i+) / τ) / Σ_i exp(cos(h_u, h_i) / τ) )` over all items.

    Source: Laser, eq. 6. Its denominator has every item of the set, the right one among them.
    """
    return F.cross_entropy(cosines(users_BD, items_ND) / temperature, targets_B)


def load_balance(weights_BK: Tensor, dispatched_BK: Tensor) -> Tensor:
    """L_LB, averaged over the users: `K Σ_j f_j w_j`; 1 when all experts have the same share.

    Args:
        weights_BK: w, mean router weight of each expert over a user's items (eq. 4).
        dispatched_BK: f, share of the user's items whose likeliest expert it is (eq. 9); no gradient.

    Source: Laser, eq. 7. The paper computes it for one input sequence; a batch takes the mean.
    """
    return weights_BK.shape[1] * (dispatched_BK * weights_BK).sum(1).mean()
