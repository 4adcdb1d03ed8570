"""Laser's two losses. Shape letters: `B` users, `N` items, `D` width, `K` experts, `P` places of a history."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cosines(users_BD: Tensor, items_ND: Tensor) -> Tensor:
    """`cos(h_u, h_i)` of every user with every item, `[B, N]` in [-1, 1] (eq. 2)."""
    return F.normalize(users_BD, dim=-1) @ F.normalize(items_ND, dim=-1).T


def item_item_contrastive(logits_BN: Tensor, targets_B: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """L_IIC, averaged over the users: `-log( exp(cos(h_u, h_i+) / τ) / Σ_i exp(cos(h_u, h_i) / τ) )` over all items.

    Args:
        logits_BN: `cos(h_u, h_i) / τ`.
        targets_B: i+ of each user.
        label_smoothing: Share of each target that is spread over all items (ours; 0 is eq. 6).

    Source: Laser, eq. 6. Its denominator has every item of the set, the right one among them.
    """
    return F.cross_entropy(logits_BN, targets_B, label_smoothing=label_smoothing)


def load_balance(weights_BK: Tensor, dispatched_BK: Tensor) -> Tensor:
    """L_LB, averaged over the users: `K Σ_j f_j w_j`; 1 when all experts have the same share.

    Args:
        weights_BK: w, mean router weight of each expert over a user's items (eq. 4).
        dispatched_BK: f, share of the user's items whose likeliest expert it is (eq. 9); no gradient.

    Source: Laser, eq. 7. The paper computes it for one input sequence; a batch takes the mean.
    """
    return weights_BK.shape[1] * (dispatched_BK * weights_BK).sum(1).mean()
