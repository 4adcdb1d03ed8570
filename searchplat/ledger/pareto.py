"""Several objectives: which points no other dominates, and which few of them stand for the rest. Pure, on numpy alone.

In every array larger is better. `ranking` applies it to trials. N points, F of them on one front, J objectives.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

Gains = NDArray[np.float64]

MARGIN = 0.1
"""How far the reference point lies below a front's worst values, in ranges of the front. Without a margin the points at
its ends would dominate no volume and would never be chosen; BoTorch's `infer_reference_point` has the same default."""

MOST = 50
"""Points of a front that are chosen by what they add; see `representatives`."""


def dominates(one: Gains | tuple[float, ...], other: Gains | tuple[float, ...]) -> bool:
    """Whether `one` is nowhere worse than `other`, and somewhere better.

    >>> dominates((2.0, 1.0), (1.0, 1.0)), dominates((2.0, 1.0), (1.0, 2.0)), dominates((1.0, 1.0), (1.0, 1.0))
    (True, False, False)
    """
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def front(gains_NJ: Gains) -> list[int]:
    """Rows of the points that no other dominates, ascending; equal points stand or fall together.

    Args:
        gains_NJ: Finite values.

    >>> front(np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]))
    [1, 2, 4]
    """
    found: list[int] = []
    rows_N = np.lexsort(-gains_NJ.T[::-1])
    while len(rows_N):
        # The lexicographically largest of those left: whatever dominates it came before and would have removed it.
        first_J, rest_NJ = gains_NJ[rows_N[0]], gains_NJ[rows_N[1:]]
        found.append(int(rows_N[0]))
        dominated_N = (first_J >= rest_NJ).all(1) & (first_J > rest_NJ).any(1)
        rows_N = rows_N[1:][~dominated_N]
    return sorted(found)


def volume(points_NJ: Gains) -> float:
    """Volume of the union of the boxes between the origin and each point: the hypervolume, by slices.

    Args:
        points_NJ: Not negative, J >= 1.

    >>> volume(np.array([[1.0, 3.0], [2.0, 1.0]]))
    4.0
    """
    if not len(points_NJ):
        return 0.0
    if points_NJ.shape[1] == 1:
        return float(points_NJ.max())
    points_NJ = points_NJ[np.argsort(-points_NJ[:, -1], kind="stable")]
    heights_N = points_NJ[:, -1] - np.append(points_NJ[1:, -1], 0.0)
    if points_NJ.shape[1] == 2:
        return float(heights_N @ np.maximum.accumulate(points_NJ[:, 0]))
    slices = (h * volume(points_NJ[: n + 1, :-1]) for n, h in enumerate(heights_N) if h > 0)
    return float(sum(slices))


def representatives(gains_FJ: Gains, most: int | None = None) -> list[int]:
    """Order the points of one front so that the first few stand for it.

    Each next point is the one that adds most to the hypervolume of those before it; of equal ones that with the
    better first objective, then the earlier row. So the first is a compromise, and the first n are also the first n of
    the first n + 1. Points equal to an earlier one add nothing and come last. Behind the first `MOST` the others follow
    by the first objective: what one of them adds is hardly told from nothing, and takes long to compute.

    Objectives are scaled so that the front spans [0, 1] in each; the reference point is -`MARGIN` in all of them. The
    choice therefore depends neither on units, nor on points that are not on the front.

    Args:
        gains_FJ: Of a front.
        most: How many to order; all by default.

    Source: greedy subset selection, Guerreiro, Fonseca and Paquete 2016.

    >>> representatives(np.array([[0.0, 10.0], [1.0, 1.0], [0.9, 9.0], [0.85, 9.1]]))
    [2, 0, 1, 3]
    """
    half_FJ = gains_FJ / 2  # the range of the largest numbers would not be finite
    low_J, high_J = half_FJ.min(0), half_FJ.max(0)
    range_J = np.where(high_J > low_J, high_J - low_J, 1.0)
    points_FJ = (half_FJ - low_J) / range_J + MARGIN
    alone_F = points_FJ.prod(1)

    def adds(row: int, chosen: list[int]) -> float:
        shared = volume(np.minimum(points_FJ[chosen], points_FJ[row]))
        return round(float(alone_F[row]) - shared, 12)  # what differs by rounding is equal

    place = {int(row): n for n, row in enumerate(np.lexsort(-gains_FJ.T[::-1]))}
    waiting = [(-adds(row, []), place[row], row, 0) for row in place]
    heapify(waiting)
    chosen: list[int] = []
    while waiting and len(chosen) < min(MOST, len(place) if most is None else most):
        _, tie, row, known = heappop(waiting)
        if known == len(chosen):
            chosen.append(row)
        else:  # what a point adds only shrinks as others are chosen, so the top of the heap is looked at alone
            heappush(waiting, (-adds(row, chosen), tie, row, len(chosen)))
    return [*chosen, *sorted((row for _, _, row, _ in waiting), key=place.__getitem__)][:most]


def place(gains_NJ: Gains, row: int) -> int:
    """How many points come before a row in `order`, which need not be worked out as a whole for it.

    >>> place(np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 2.0], [0.0, 0.0]]), 0)
    2
    """
    before = 0
    left = np.arange(len(gains_NJ))
    while True:
        rows = left[front(gains_NJ[left])]
        if row in rows:
            return before + next(n for n, found in enumerate(representatives(gains_NJ[rows])) if rows[found] == row)
        before += len(rows)
        left = np.setdiff1d(left, rows)


def order(gains_NJ: Gains, most: int | None = None) -> list[int]:
    """Order points: the front by its `representatives`, then likewise the front of the others, and so on.

    Args:
        most: How many to order; all by default.

    >>> order(np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 2.0], [0.0, 0.0]]), 3)
    [2, 1, 0]
    """
    chosen: list[int] = []
    left = np.arange(len(gains_NJ))
    while len(left) and (most is None or len(chosen) < most):
        rows = left[front(gains_NJ[left])]
        wanted = None if most is None else most - len(chosen)
        chosen += [int(row) for row in rows[representatives(gains_NJ[rows], wanted)]]
        left = np.setdiff1d(left, rows)
    return chosen
