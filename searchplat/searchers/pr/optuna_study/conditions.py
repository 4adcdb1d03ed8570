"""When an Optuna study asks for a parameter, told from the trials that had it and those that had not.

An objective asks for its parameters one by one, and says nowhere which of them depend on others. What its trials show
is enough for a surrogate: an axis that some trials lack gets the conditions `Axis.when` under which the trials had it.
Shapes: `N` trials, `A` axes. Next: `study_space`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Axis, Kind

When = tuple[tuple[int, tuple[int, ...]], ...]


def conditions(axes: Sequence[Axis], codes_NA: Tensor, whole_N: Tensor) -> list[When]:
    """The conditions of every axis; none for one that all trials had, or whose absence no axis before it explains.

    A condition names an axis that every trial with the parameter had too, and the levels that go with it: all but those
    seen only without it. Axes are taken as long as they explain more of the absences, the one that explains most
    first. Only axes with levels are looked at: which side of a threshold counts, few trials cannot tell.

    Args:
        axes: Those that more trials had first, so that conditions look backwards.
        codes_NA: NaN where a trial has no such parameter.
        whole_N: Whether the trial ran to its end: one that failed may have been about to ask for more.
    """
    has_NA = ~codes_NA.isnan()
    counts = (has_NA & whole_N[:, None]).sum(0).tolist()
    return [_conditions_of(a, axes, codes_NA, has_NA, whole_N, counts) for a in range(len(axes))]


def _conditions_of(
    own: int, axes: Sequence[Axis], codes_NA: Tensor, has_NA: Tensor, whole_N: Tensor, counts: Sequence[int]
) -> When:
    having_N = has_NA[:, own]
    unexplained_N = ~having_N & whole_N
    found: dict[int, tuple[int, ...]] = {}
    while bool(having_N.any()) and bool(unexplained_N.any()):
        best: tuple[int, int, tuple[int, ...], Tensor] | None = None
        for a in range(own):
            # As many trials would make the two each other's condition.
            if axes[a].kind is Kind.REAL or counts[a] <= counts[own] or not bool(has_NA[having_N, a].all()):
                continue
            with_it = torch.unique(codes_NA[having_N, a])
            explained_N = unexplained_N & ~torch.isin(codes_NA[:, a], with_it)
            explains = int(explained_N.sum())
            if explains > (best[0] if best else 0):
                only_without = set(codes_NA[explained_N & has_NA[:, a], a].tolist())
                best = (explains, a, tuple(k for k in range(axes[a].levels) if k not in only_without), explained_N)
        if best is None:
            break
        _, a, levels, explained_N = best
        found[a] = levels
        unexplained_N = unexplained_N & ~explained_N
    return tuple(sorted(found.items()))
