"""Bounds on outcomes: how likely a point keeps them, and which observed points do.

Each bound has a Gaussian process of its own on what it was exceeded by, and a point's worth is multiplied by the
probability that its mean is within (Gardner et al. 2014). While no point keeps all, that probability is all that
counts (Gelbart et al. 2014). Shapes: `N` scored points, `B` bounds. Next: `proposal`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from searchplat.searchers.pr.acquisition import LogAcquisition
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models.subset import subset
from searchplat.searchers.pr.models.surrogate import FitError, Model, fit, unfitted

_FAR = 2.0
"""Shares of the limit beyond which more of an excess says no more: it would flatten what lies near the limit."""


class Keeps:
    """Log probability that a point's mean keeps a bound.

    Args:
        models: Of the excess, standardised.
        limit: Where an excess of 0 lies in their unit.
    """

    def __init__(self, models: list[Model], limit: float) -> None:
        self._models, self._limit = models, limit

    def __call__(self, features_MD: Tensor) -> Tensor:
        shares = []
        for model in self._models:
            mean_M, variance_M = model.posterior(features_MD)
            inside_M = torch.special.log_ndtr((self._limit - mean_M) / variance_M.sqrt())
            shares.append(inside_M + torch.tensor(model.weight, dtype=torch.float64).log())
        return torch.logsumexp(torch.stack(shares), 0)


def feasible(excess_NB: Tensor) -> Tensor:
    """Which points keep all bounds `[N]`."""
    return (excess_NB <= 0).all(1)


def behind(values_N: Tensor, excess_NB: Tensor) -> Tensor:
    """Values, in which points that break bounds come after all that break none, by how much they break them `[N]`."""
    broken_N = excess_NB.clamp(min=0, max=_FAR).sum(1)
    least = values_N.min() if len(values_N) else 0.0
    return torch.where(broken_N > 0, least - 1 - broken_N, values_N)


def factors(
    encoding: Encoding,
    features_ND: Tensor,
    excess_NB: Tensor,
    family: str,
    known_at_N: Tensor | None = None,
) -> list[LogAcquisition]:
    """The factor of each bound that some point was measured for.

    Args:
        excess_NB: By how much each point exceeds each bound, infinite where it was not measured.
        family: Of kernels, that of the objectives: what a point costs is made of its parts as its quality is.
        known_at_N: See `subset.subset`.
    """
    found: list[LogAcquisition] = []
    for excess_N in excess_NB.T:
        measured_N = torch.isfinite(excess_N)
        if not bool(measured_N.any()):
            continue
        own_N = excess_N[measured_N].clamp(min=-_FAR, max=_FAR)
        middle, deviation = own_N.mean(), own_N.std(correction=0)
        unit = deviation if float(deviation) > 1e-12 else torch.tensor(1.0, dtype=torch.float64)
        target_N, features = (own_N - middle) / unit, features_ND[measured_N]
        # Of many, first of all those near the limit: they say where it runs.
        chosen = subset(-own_N.abs()[:, None], None if known_at_N is None else known_at_N[measured_N])
        try:
            models = fit(encoding, features, target_N, family, chosen, own_N)
        except FitError:
            models = [unfitted(encoding, features[chosen.known], target_N[chosen.known])]
        found.append(Keeps(models, float(-middle / unit)))
    return found
