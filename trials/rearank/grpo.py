"""What a list is worth, and what is learnt from a group of them.

Shape letters: `B` prompts, `G` answers to each, `R` = B times G, `K` candidates, `M` decisions of an answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.data.preparing.dataset import IntArray

Floats = NDArray[np.floating[Any]]

CUT = 10
"""Of the NDCG that lists are rewarded by."""
GAIN, TAGS, FORM = 0.8, 0.1, 0.1
"""Weights of the gain in NDCG, of the tags, and of the list's form."""


def ndcg(places: IntArray) -> Floats:
    """NDCG@10 of a list with one right item, by its place from 0.

    >>> ndcg(np.array([0, 2, 10])).tolist()
    [1.0, 0.5, 0.0]
    """
    return np.where(places < CUT, 1 / np.log2(places + 2.0), 0.0)


def rewards(orders_BGK: IntArray, targets_B: IntArray, tagged_BG: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The reward of each answer, `[B, G]`, and the highest that each prompt allows, `[B]`.

    `0.8 (N - N_0) / (N* - N_0) + 0.1 tags + 0.1 form`, with N the NDCG@10 of the list as written, N_0 as it was and
    N* = 1 as it could be. What is written has the form of a list by construction. Where the target is first already,
    and there is nothing to gain, the denominator is 1: who moves it loses by that.

    Source: Zhang et al., EMNLP 2025: a reward of the gain over the initial list, and of format. Formula and weights
    are not checked against its text, which was not at hand. Without reasoning neither matters: advantages take off
    what a group's rewards have in common, and divide by their spread.

    Args:
        orders_BGK: Places of candidates in the order that was written.
        targets_B: Place of the right one in the initial list.
        tagged_BG: Whether the reasoning was ended by who wrote it.
    """
    before_B = ndcg(targets_B)
    possible_B = np.where(targets_B > 0, 1 - before_B, 1.0)
    after_BG = ndcg((orders_BGK == targets_B[:, None, None]).argmax(axis=2))
    found_BG = GAIN * (after_BG - before_B[:, None]) / possible_B[:, None] + TAGS * tagged_BG + FORM
    return found_BG, GAIN * (targets_B > 0) + TAGS + FORM


def advantages(rewards_BG: Floats) -> Floats:
    """How far each reward is above its group's mean, in standard deviations; 0 where all are equal.

    Source: Shao et al., DeepSeekMath, 2024, section 4.1.2 (outcome supervision).
    """
    spread_B1 = rewards_BG.std(axis=1, keepdims=True)
    apart_BG = rewards_BG - rewards_BG.mean(axis=1, keepdims=True)
    return np.where(spread_B1 > 1e-6, apart_BG / np.maximum(spread_B1, 1e-6), 0.0)


def surrogate(log_RM: Tensor, old_RM: Tensor, advantages_R: Tensor, decided_RM: Tensor, clip: float) -> Tensor:
    """`-min(ρ A, clip(ρ, 1 - ε, 1 + ε) A)`, the mean over an answer's decisions, then over answers.

    Source: Shao et al., 2024, eq. 3, with ρ the ratio of a decision's probability to what it was when it was made.

    Args:
        log_RM: Log-probabilities of the decisions.
        old_RM: The same when they were made.
        advantages_R: A.
        decided_RM: Which decisions there are.
        clip: ε.
    """
    ratio_RM = (log_RM - old_RM).exp()
    gain_R1 = advantages_R[:, None]
    terms_RM = -torch.minimum(ratio_RM * gain_R1, ratio_RM.clamp(1 - clip, 1 + clip) * gain_R1)
    return _mean(terms_RM, decided_RM)


def divergence(log_RM: Tensor, reference_RM: Tensor, decided_RM: Tensor) -> Tensor:
    """`π_ref / π - log(π_ref / π) - 1`, averaged likewise: an unbiased estimate of the KL divergence, >= 0.

    Source: Shao et al., 2024, eq. 4.
    """
    apart_RM = reference_RM - log_RM
    return _mean(apart_RM.exp() - apart_RM - 1, decided_RM)


def _mean(terms_RM: Tensor, decided_RM: Tensor) -> Tensor:
    terms_R = terms_RM.masked_fill(~decided_RM, 0.0).sum(1) / decided_RM.sum(1).clamp(min=1)
    return terms_R.mean()
