"""Losses that methods share; each states its equation and averages over its examples."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(anchors_PD: Tensor, positives_PD: Tensor, negatives_PKD: Tensor, temperature: float) -> Tensor:
    """InfoNCE on cosine similarities, averaged over the pairs.

    `-log( f(a, p) / (f(a, p) + Σ_k f(a, n_k)) )` with `f(x, y) = exp(cos(x, y) / τ)`.

    Args:
        anchors_PD: `[P, D]`.
        positives_PD: `[P, D]`, one for each anchor.
        negatives_PKD: `[P, K, D]`, K for each anchor.
        temperature: τ > 0.

    Source: DARec, section 2.2.4. Differs: the mean over pairs where the paper sums, so that the weight of the
    loss does not depend on the batch size.
    """
    anchors_PD = F.normalize(anchors_PD, dim=-1)
    candidates_PCD = F.normalize(torch.cat([positives_PD.unsqueeze(1), negatives_PKD], dim=1), dim=-1)
    similarity_PC = torch.einsum("pd,pcd->pc", anchors_PD, candidates_PCD) / temperature
    return F.cross_entropy(similarity_PC, torch.zeros(len(similarity_PC), dtype=torch.long, device=anchors_PD.device))


def bpr(positive_P: Tensor, negative_PK: Tensor) -> Tensor:
    """Bayesian personalised ranking, `-log σ(s+ - s-)`, averaged over pairs and negatives.

    Args:
        positive_P: Scores of the items that users interacted with.
        negative_PK: Scores of K sampled items for each.

    Source: Rendle et al., BPR, UAI 2009, section 4.1 (regularisation is left to weight decay).
    """
    return F.softplus(negative_PK - positive_P.unsqueeze(1)).mean()


def binary_cross_entropy(positive_P: Tensor, negative_PK: Tensor) -> Tensor:
    """Log loss of positives (label 1) and sampled negatives (label 0), averaged over all of them.

    Args:
        positive_P: Logits of the items that users interacted with.
        negative_PK: Logits of K sampled items for each.

    Source: He et al., Neural Collaborative Filtering, WWW 2017, eq. 7.
    """
    logits = torch.cat([positive_P, negative_PK.flatten()])
    labels = torch.zeros_like(logits)
    labels[: len(positive_P)] = 1.0
    return F.binary_cross_entropy_with_logits(logits, labels)
