"""Of many points, those that Gaussian processes are conditioned on and fitted to: so a suggestion's time is bounded.

An exact process takes the cube of its points for a fit and their square for every candidate, so beyond a few hundred
it is given a subset of them (Rasmussen and Williams 2006, section 8.3.3): the best, as the next point will be near
them; the newest, which say what the search does now; and of all others one in so many, so that no region is forgotten.
Hyperparameters change little from one point to the next. They are fitted to fewer, and anew after every so many only.

The subset is a function of the points and of the order in which their values became known, and of nothing else: a
search that was resumed has the same. Up to `MOST_FITTED` points nothing is left out.
Shapes: `N` points, `J` columns of values, `B` points of a block. Next: `surrogate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MOST_FITTED = 300
"""Points that hyperparameters are fitted to: some sixty evaluations of the evidence take half a second. A fit has a few
dozen hyperparameters under priors, and more points hardly move them."""
REFITTED = 50
"""Points after which they are fitted anew, once there are more: a sixth of what the fit knows."""
MOST_KNOWN = 500
"""Points that the posterior knows: a few hundred candidates a step, forty steps, then take a third of a second."""

_BLOCK = 512  # points that are compared with all others at once: megabytes, not N^2


@dataclass(frozen=True)
class Subset:
    """Rows of points, ascending.

    Args:
        known: Rows that the posterior is conditioned on, at most `MOST_KNOWN`.
        fitted: Rows that hyperparameters are fitted to, at most `MOST_FITTED`; equal until the next fit is due.
        settled: All rows that had arrived when that fit was due.
    """

    known: Tensor
    fitted: Tensor
    settled: Tensor

    @property
    def whole(self) -> bool:
        """Whether hyperparameters are fitted to all points."""
        return len(self.fitted) == len(self.known) == len(self.settled)


def subset(values_NJ: Tensor, known_at_N: Tensor | None = None) -> Subset:
    """The subset of a history.

    Args:
        values_NJ: What tells good points from bad ones, larger is better; of several columns, by Pareto dominance.
        known_at_N: Numbers by whose order the values became known; by default the rows' order.
    """
    count = len(values_NJ)
    everything = torch.arange(count)
    if count <= MOST_FITTED:
        return Subset(everything, everything, everything)
    arrival = everything if known_at_N is None else known_at_N.argsort(stable=True)
    settled = arrival[: count - count % REFITTED]
    fitted = _best_and_newest(values_NJ, settled, MOST_FITTED)
    known = everything if count <= MOST_KNOWN else _known(values_NJ, arrival)
    return Subset(known, fitted, settled.sort().values)


def standing(values_NJ: Tensor) -> Tensor:
    """How good each point is among the others, as numbers `[N]`: its value, or with several columns less the better.

    That is minus the number of points that dominate it, 0 on the Pareto front (Fonseca and Fleming 1993).
    """
    if values_NJ.shape[1] == 1:
        return values_NJ[:, 0]
    dominating = []
    for block_BJ in torch.split(values_NJ, _BLOCK):
        as_good_BN = torch.ones((len(block_BJ), len(values_NJ)), dtype=torch.bool)
        better_BN = torch.zeros_like(as_good_BN)
        for all_N, some_B in zip(values_NJ.T, block_BJ.T, strict=True):
            as_good_BN &= all_N >= some_B[:, None]
            better_BN |= all_N > some_B[:, None]
        dominating.append((as_good_BN & better_BN).sum(1))
    return -torch.cat(dominating).to(values_NJ.dtype)


def _known(values_NJ: Tensor, arrival_N: Tensor) -> Tensor:
    """Rows, ascending: half of them the best and the newest, the others one in so many of the rest."""
    some = _best_and_newest(values_NJ, arrival_N, MOST_KNOWN // 2)
    others = torch.ones(len(values_NJ), dtype=torch.bool)
    others[some] = False
    rest = others.nonzero()[:, 0]
    spread = torch.linspace(0, len(rest) - 1, MOST_KNOWN - len(some)).round().long()
    rows: Tensor = torch.cat([some, rest[spread]]).sort().values
    return rows


def _best_and_newest(values_NJ: Tensor, arrival: Tensor, most: int) -> Tensor:
    """Rows, ascending, of which half are the best and half the newest.

    Args:
        arrival: Rows that are chosen among, the earliest first; of equally good ones the earliest are taken.
    """
    best = arrival[standing(values_NJ[arrival]).argsort(descending=True, stable=True)[: most // 2]]
    rows: Tensor = torch.unique(torch.cat([best, arrival[-(most // 2) :]]))
    return rows
