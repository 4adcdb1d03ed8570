"""A user's belief on good values as a factor of the acquisition that fades as trials come in.

A point's worth is multiplied by pi(x)^(beta / n), where pi is the product of the axes' beliefs and n the number of
trials with a value (piBO: Hvarfner et al. 2022, equation 6). So a wrong belief delays a search, but not for good: beta
is a tenth of the trials in the paper, and here 3 unless the space says otherwise. An axis that is not active, or that
has no belief, does not count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding, Kind
from searchplat.spec.prior import Prior
from searchplat.spec.space import Domain, Float, Int


class Belief:
    """log pi^(beta / n) of features `[M, D]`, differentiable in the real axes.

    Args:
        encoding: The axes.
        axes: For axes by index, the domain that has the belief.
        power: beta / n, >= 0.
    """

    def __init__(self, encoding: Encoding, axes: Mapping[int, Domain], power: float) -> None:
        self._power = power
        self._parts = [
            ((encoding.axis_of_column == a).nonzero()[:, 0], _part(domain, domain.prior, encoding, a))
            for a, domain in axes.items()
            if domain.prior is not None
        ]

    def __call__(self, features_MD: Tensor) -> Tensor:
        """Log factors `[M]`, at most 0."""
        total_M = torch.zeros(len(features_MD), dtype=features_MD.dtype)
        for columns, part in self._parts:
            own = features_MD[:, columns]
            active_M = (own.detach() != 0).any(1)
            # Ones stand for what is not active: the angle of (0, 0) has no gradient.
            safe = torch.where(active_M[:, None], own, torch.ones_like(own))
            total_M = total_M + torch.where(active_M, part(safe), 0.0)
        return self._power * total_M


class _Weights:
    """Of a bit or an axis without an order."""

    def __init__(self, log_weights: Tensor, bit: bool) -> None:
        self._log_weights, self._bit = log_weights, bit

    def __call__(self, own: Tensor) -> Tensor:
        index_M = (own[:, 0] > 0).long() if self._bit else own.argmax(1)
        return self._log_weights[index_M]


class _Normal:
    """Of an axis on the half circle: a normal density of its position in [0, 1]; see `Encoding.features`."""

    def __init__(self, centre: float, deviation: float) -> None:
        self._centre, self._deviation = centre, deviation

    def __call__(self, own: Tensor) -> Tensor:
        return -0.5 * ((_position(own) - self._centre) / self._deviation) ** 2


class _Ordered:
    """Of an axis of a few ordered levels, from their weights."""

    def __init__(self, log_weights: Tensor) -> None:
        self._log_weights = log_weights

    def __call__(self, own: Tensor) -> Tensor:
        top = len(self._log_weights) - 1
        return self._log_weights[(_position(own) * top).round().long().clamp(0, top)]


def _position(own: Tensor) -> Tensor:
    """From sine and cosine `[M, 2]` to the position in [0, 1]."""
    return 0.5 + torch.atan2(own[:, 0], own[:, 1]) / math.pi


def _part(domain: Domain, prior: Prior, encoding: Encoding, axis: int) -> _Weights | _Normal | _Ordered:
    kind, levels = encoding.axes[axis].kind, encoding.axes[axis].levels
    if isinstance(domain, Float | Int):
        centre, deviation = prior.shares(domain.low, domain.high, domain.log)
        if kind is not Kind.BIT:
            return _Normal(centre, deviation)
        weights = [-0.5 * ((share - centre) / deviation) ** 2 for share in (0.0, 1.0)]
        return _Weights(torch.tensor(weights, dtype=torch.float64), bit=True)
    log_weights = torch.tensor(prior.log_weights, dtype=torch.float64)
    assert len(log_weights) == levels
    return _Ordered(log_weights) if kind is Kind.ORDINAL else _Weights(log_weights, kind is Kind.BIT)
