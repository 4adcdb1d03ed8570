"""Gates from logits: exactly k open, noise in training only, gradients through a softmax, a prior on how many open.

Shape letters: `B` requests, `G` gates (the paper's d). `layout.py` says which gate acts where.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

NEAR = 1e-5
"""Of the largest logit: how far rounding in float32 may move one, with a wide margin."""


def open_gates(gates: int, drop_ratio: float) -> int:
    """How many gates stay open, `k = ceil((1 - ρ) d)` (section 3.3, "Constructing Sparse Binary Vector").

    Args:
        gates: d, >= 1.
        drop_ratio: ρ in (0, 1).

    >>> open_gates(1536, 0.1), open_gates(10, 0.3), open_gates(5, 0.5)
    (1383, 7, 3)
    """
    # Nine places: (1 - 0.1) * 10 may come out as 9.000000000000002, whose ceiling is 10.
    return math.ceil(round((1 - drop_ratio) * gates, 9))


def gumbel(rows: int, gates: int, seed: int, device: torch.device) -> Tensor:
    """Independent noise `[rows, gates]` from the standard Gumbel distribution; equal seeds give equal noise."""
    generator = torch.Generator(device).manual_seed(seed)
    # -log of an exponential variable is Gumbel. In float64 no draw is 0, whose logarithm would be infinite.
    drawn = torch.empty(rows, gates, dtype=torch.float64, device=device).exponential_(generator=generator)
    return -drawn.clamp_(min=torch.finfo(torch.float64).tiny).log_().float()


def top_k_gates(logits_BG: Tensor, k: int) -> Tensor:
    """`m [B, G]`: 1 at the k largest logits of a row, 0 elsewhere; exactly k ones, also where logits are equal.

    With `z + gumbel(...)` these are k draws without replacement with chances in proportion to exp(z), as Plackett
    and Luce model a ranking; with z itself it is the choice of inference.

    Source: equation 7; Kool et al., Stochastic Beams and Where to Find Them, ICML 2019.
    """
    shut = logits_BG.shape[1] - k
    if shut < k:  # the smaller part is found in less time, and most gates are open
        shut_BS = logits_BG.topk(shut, dim=1, largest=False, sorted=False).indices
        return torch.ones_like(logits_BG).scatter_(1, shut_BS, 0.0)
    open_BK = logits_BG.topk(k, dim=1, sorted=False).indices
    return torch.zeros_like(logits_BG).scatter_(1, open_BK, 1.0)


def settled_gates(logits_BG: Tensor, k: int, exact: Callable[[Tensor], Tensor]) -> Tensor:
    """`top_k_gates` that rounding cannot change: a request has the same gates whatever it is batched with.

    Products of batches of different sizes are summed in different orders, which moves a logit by its last digits and
    could swap two gates that are nearly equal. Rows where the last open and the first shut gate are that near are
    decided by exact logits.

    Args:
        logits_BG: In float32.
        exact: Gives the logits of rows, `[R]` to `[R, d]`, in float64.
    """
    shut = logits_BG.shape[1] - k
    if logits_BG.device.type == "cpu":  # NumPy sorts rows many times as fast as torch does, or finds the k largest
        sorted_BG = torch.from_numpy(np.sort(logits_BG.detach().numpy(), axis=1))
    else:
        sorted_BG = logits_BG.sort(dim=1).values
    highest_shut_B, lowest_open_B = sorted_BG[:, shut - 1], sorted_BG[:, shut]
    gates_BG = (logits_BG >= lowest_open_B[:, None]).to(logits_BG)
    largest_B = torch.maximum(sorted_BG[:, 0].abs(), sorted_BG[:, -1].abs())
    near_R = (lowest_open_B - highest_shut_B <= NEAR * largest_B).nonzero().squeeze(1)
    if len(near_R):
        gates_BG[near_R] = top_k_gates(exact(near_R), k).to(gates_BG)
    return gates_BG


def straight_through(hard_BG: Tensor, logits_BG: Tensor, temperature: float) -> Tensor:
    """Gates that are `hard_BG` in the forward pass, and whose gradient is that of `softmax(z / τ)`.

    Source: section 3.4, "Straight-Through Training for Gating". The softmax is over z without the noise, and over
    all gates, as written there.
    """
    soft_BG = torch.softmax(logits_BG / temperature, dim=1)
    return hard_BG + (soft_BG - soft_BG.detach())


def threshold_through(hard_BG: Tensor, logits_BG: Tensor, noisy_BG: Tensor, temperature: float) -> Tensor:
    """Gates that are `hard_BG` in the forward pass, and whose gradient is that of `σ((z̃ - θ) / τ)`.

    θ lies midway between the last gate that is open and the first that is shut: a gate learns the more the nearer it
    is to being the other. Under the softmax of `straight_through` a gate learns in proportion to exp(z / τ), so that
    those which are shut learn least.

    Args:
        hard_BG: With as many ones in every row.
        logits_BG: z, which the gradient goes to.
        noisy_BG: z̃, which chose the gates.

    Ours; the paper has the softmax.
    """
    lowest_open_B1 = noisy_BG.masked_fill(hard_BG == 0, math.inf).amin(1, keepdim=True)
    highest_shut_B1 = noisy_BG.masked_fill(hard_BG == 1, -math.inf).amax(1, keepdim=True)
    offset_BG = (noisy_BG - logits_BG - (lowest_open_B1 + highest_shut_B1) / 2).detach()
    soft_BG = torch.sigmoid((logits_BG + offset_BG) / temperature)
    return hard_BG + (soft_BG - soft_BG.detach())


def prior_divergence(logits_BG: Tensor, open_share: float) -> Tensor:
    """`KL(Bernoulli(σ(z)) || Bernoulli(π0)) / d`, `[B]`: the mean over the gates, >= 0.

    Args:
        logits_BG: z.
        open_share: `π0 = k / d`, in (0, 1).

    Source: equations A.2, A.4 and A.5, with the division by d of equation 6.
    """
    log_open_BG, log_shut_BG = F.logsigmoid(logits_BG), F.logsigmoid(-logits_BG)
    open_BG = logits_BG.sigmoid()
    divergence_BG = open_BG * (log_open_BG - math.log(open_share)) + (1 - open_BG) * (
        log_shut_BG - math.log1p(-open_share)
    )
    return divergence_BG.mean(dim=1)
