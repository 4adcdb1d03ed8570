"""A Hamming ball around the incumbent that grows on successes and shrinks on failures (TuRBO's rule, on levels)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding

_SUCCESSES = 3  # improvements in a row that double the radius (Eriksson et al. 2019)
_FIRST = 0.4  # of the axes: the first radius, and that of a restart
_LEAST = 1  # below this radius the region starts anew


@dataclass(frozen=True)
class TrustRegion:
    """Points that differ from the centre on at most `radius` discrete axes, and on real ones by the same share.

    Calling it brings codes back into the region: axes too many take the centre's level, those of the largest priority
    first. That does not depend on how the codes were drawn, so gradients by scores stay unbiased.
    """

    encoding: Encoding
    centre_A: Tensor
    radius: int

    @classmethod
    def from_values(cls, encoding: Encoding, scored_NA: Tensor, mean_N: Tensor, values_NJ: Tensor) -> TrustRegion:
        """The region after a history: its counters are replayed from the values, so nothing is stored.

        Args:
            mean_N: Posterior means; the best one is the centre.
            values_NJ: Observed objectives in the order of the trials; an improvement is a new best of their sum.
        """
        discrete = int(encoding.discrete.sum())
        first = max(2, round(_FIRST * max(discrete, 1)))
        patience = max(4, encoding.width // 4)
        radius, wins, losses, best = first, 0, 0, -torch.inf
        for value in values_NJ.sum(1).tolist():
            improved = value > best
            best = max(best, value)
            wins, losses = (wins + 1, 0) if improved else (0, losses + 1)
            if wins == _SUCCESSES:
                radius, wins = min(2 * radius, max(discrete, 1)), 0
            elif losses == patience:
                radius, losses = radius // 2, 0
                if radius < _LEAST:
                    radius = first
        return cls(encoding, scored_NA[mean_N.argmax()], radius)

    def __call__(self, codes_MA: Tensor, priority_MA: Tensor | None) -> Tensor:
        """The codes, brought into the region."""
        discrete_A = self.encoding.discrete
        differs_MA = (codes_MA != self.centre_A) & discrete_A
        surplus_M = differs_MA.sum(1) - self.radius
        outside = surplus_M.clamp(min=0).nonzero()[:, 0]  # sorting the others too would take as long as all the rest
        if len(outside):
            differs_OA = differs_MA[outside]
            order_OA = -torch.arange(differs_OA.shape[1]).expand_as(differs_OA)
            order_OA = order_OA if priority_MA is None else priority_MA[outside]
            rank_OA = (order_OA + 1e9 * differs_OA).argsort(1, descending=True).argsort(1)
            back_OA = differs_OA & (rank_OA < surplus_M[outside, None])
            codes_MA = codes_MA.index_copy(0, outside, torch.where(back_OA, self.centre_A, codes_MA[outside]))
        if len(self.encoding.reals):
            share = max(0.05, self.radius / max(1, int(discrete_A.sum())))
            near_MA = torch.minimum(torch.maximum(codes_MA, self.centre_A - share), self.centre_A + share)
            codes_MA = torch.where(discrete_A, codes_MA, near_MA)
        return codes_MA
