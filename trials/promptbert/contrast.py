"""Contrast between windows of tokens: those of one user attract, those of different users repel (section 3.2).

Shape letters: `B` prompts, `L` places, `D` width, `J` and `K` windows of a prompt, `V` prompts as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trials.data.preparing.dataset import IntArray


def window_means(z_BLD: Tensor, window: int) -> Tensor:
    """Mean over each `window` places, one after the other: `[B, J, D]` with `J = floor(L / window)`.

    Source: section 3.2, `z̄_u^(j) = (1 / w) Σ_t z_t`. "We divide the sequence into sliding windows": ours do not
    overlap, and what is left at the end makes none.
    """
    batch, length, width = z_BLD.shape
    count = length // window
    return z_BLD[:, : count * window].reshape(batch, count, window, width).mean(2)


def pairs_of(lengths_B: IntArray, window: int) -> IntArray:
    """Ordered pairs of windows of each prompt, `c (c - 1)` for c whole windows of tokens: `[B]`."""
    counts_B = np.asarray(lengths_B) // window
    pairs_B: IntArray = counts_B * (counts_B - 1)
    return pairs_B


def groups_of(count: int, size: int) -> Iterator[tuple[int, int]]:
    """First and last + 1 of each group of `size` neighbours; the last group may be smaller."""
    return ((start, min(start + size, count)) for start in range(0, count, size))


def contrast(
    z_BLD: Tensor,
    lengths_B: IntArray,
    users_B: IntArray,
    *,
    window: int,
    temperature: float,
    group: int,
    similarity: Literal["inner", "cosine"] = "inner",
) -> Tensor:
    """InfoNCE over all ordered pairs (j, k), j != k, of windows of one prompt, averaged over them:

    `-log( exp(z_u^j · z_u^k / τ) / (exp(z_u^j · z_u^k / τ) + Σ_{u' != u} exp(z_u^j · z_u'^k / τ)) )`.

    As in the equation, the negatives of the pair (j, k) are the k-th windows of the other users' prompts. Where the
    paper does not say more: the sum goes over all pairs; other users are those of the same group of neighbours in the
    batch, less the prompts of the same user; a window counts only if it is whole, without padding.

    Args:
        z_BLD: Output of the mixture.
        lengths_B: Tokens of each prompt.
        users_B: Whose they are.
        window: w.
        temperature: τ > 0.
        group: Prompts contrasted with each other.
        similarity: Inner product, or cosine.

    Returns:
        A scalar; 0 without a pair.

    Source: section 3.2. Differs: the mean where the paper sums, so that the weight does not depend on lengths.
    """
    means_BJD = window_means(z_BLD, window).float()
    if similarity == "cosine":
        means_BJD = F.normalize(means_BJD, dim=-1)
    counts_B = torch.from_numpy(np.asarray(lengths_B) // window).to(z_BLD.device)
    valid_BJ = torch.arange(means_BJD.shape[1], device=z_BLD.device) < counts_B[:, None]
    same_BV = torch.from_numpy(np.equal.outer(users_B, users_B)).to(z_BLD.device)
    total = means_BJD.sum() * 0.0
    for start, stop in groups_of(len(users_B), group):
        part = slice(start, stop)
        total = total + _group_sum(means_BJD[part], valid_BJ[part], same_BV[part, part], temperature)
    return total / max(1, int(pairs_of(lengths_B, window).sum()))


def _group_sum(means_BJD: Tensor, valid_BJ: Tensor, same_BV: Tensor, temperature: float) -> Tensor:
    logits_BJVK = torch.einsum("bjd,vkd->bjvk", means_BJD, means_BJD) / temperature
    own_BV = torch.eye(len(same_BV), dtype=torch.bool, device=same_BV.device)
    # The prompt itself stays for the numerator; of the others only other users' whole windows.
    kept_BVK = own_BV[:, :, None] | (~same_BV[:, :, None] & valid_BJ[None])
    denominator_BJK = logits_BJVK.masked_fill(~kept_BVK[:, None], -torch.inf).logsumexp(2)
    positive_BJK = torch.diagonal(logits_BJVK, dim1=0, dim2=2).permute(2, 0, 1)
    other_JK = ~torch.eye(valid_BJ.shape[1], dtype=torch.bool, device=same_BV.device)
    pair_BJK = valid_BJ[:, :, None] & valid_BJ[:, None, :] & other_JK
    return (denominator_BJK - positive_BJK)[pair_BJK].sum()
