"""Whitening: the linear map after which all directions of some states have nearly the same spread.

Shape letters: `R` states, `D` width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def whitening(states_RD: Tensor, ridge: float) -> Tensor:
    """`P = (C + ridge tr(C) / D)^(-1/2)`, `[D, D]` and symmetric, with C the states' covariance.

    Args:
        states_RD: One state at least.
        ridge: What is added to each variance, as a multiple of their mean, > 0: the smaller, the more of the weak
            directions is heard, with their noise.
    """
    x_RD = (states_RD - states_RD.mean(0)).double()
    variances_D, axes_DD = torch.linalg.eigh(x_RD.T @ x_RD / len(x_RD))
    variances_D = variances_D.clamp(min=0)
    floor = (ridge * variances_D.mean()).clamp(min=1e-12)
    whitening_DD: Tensor = (axes_DD * (variances_D + floor).rsqrt()) @ axes_DD.T
    return whitening_DD.to(states_RD.dtype)
