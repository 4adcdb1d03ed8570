"""Groups of targets and users, over which figures are asked for apart: `cold/<metric>`, `long/<metric>` and so on.

All of them go by training interactions, so that neither validation nor test says who is in which. Shape letters: `N`
items, `U` users of the data, `Q` queries, `M` targets of a query.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from searchplat.contract.measures import ITEM_GROUPS
from trials.data.preparing.dataset import IntArray, SearchData

SHARE = 0.35
"""Laser's "bottom 35 % of interactions"."""

Mask = NDArray[np.bool_]


def cold_items(data: SearchData) -> Mask:
    """The `floor(0.35 N)` items with the fewest training interactions, of equally many those of the earlier row; `[N]`.

    Source: Laser, section 5.3, after Kim et al. (2024). Differs: interactions are those in training.
    """
    cold_N = np.zeros(data.num_items, dtype=bool)
    rarest = np.argsort(data.popularity_N(), kind="stable")
    cold_N[rarest[: math.floor(SHARE * data.num_items)]] = True
    return cold_N


def items_of(group: str, data: SearchData) -> Mask:
    """The items of a group of targets, `[N]`.

    Items in the order of their training interactions, of equally many the earlier row first: `head` begins in the first
    third of all these interactions, `torso` in the second, `tail` in the last.
    """
    if group in ("cold", "warm"):
        cold_N = cold_items(data)
        return cold_N if group == "cold" else ~cold_N
    counts_N = data.popularity_N()
    order = np.argsort(-counts_N, kind="stable")
    before = np.cumsum(counts_N[order]) - counts_N[order]
    total = int(counts_N.sum())
    third = np.where(3 * before < total, 0, np.where(3 * before < 2 * total, 1, 2))
    found_N = np.zeros(data.num_items, dtype=bool)
    found_N[order[third == ("head", "torso", "tail").index(group)]] = True
    return found_N


def users_of(group: str, data: SearchData) -> Mask:
    """The users of a group, `[U]`: `short` up to the length below which a third of the users lie, `long` above two.

    Users with equally many training interactions are in the same group, so that a group may be larger than a third,
    or empty.
    """
    lengths_U = np.diff(data.train_offsets)
    low, high = np.quantile(lengths_U, [1 / 3, 2 / 3], method="lower")
    found: Mask = {
        "short": lengths_U <= low,
        "medium": (lengths_U > low) & (lengths_U <= high),
        "long": lengths_U > high,
    }[group]
    return found


def group_ranks(group: str, data: SearchData, users_Q: IntArray, targets: IntArray, ranks: IntArray) -> IntArray:
    """The ranks of a group: of some users; or of all who have a target in it, with their other targets left out.

    Args:
        group: One of `searchplat.contract.measures.GROUPS`.
        users_Q: The queries' users, rows of the data.
        targets: `[Q]` or `[Q, M]` items; what is below 0 is none.
        ranks: Likewise, their ranks; 0 for none.

    Returns:
        Ranks of as many axes, of the group's queries in order.
    """
    found: IntArray
    if group not in ITEM_GROUPS:
        found = ranks[users_of(group, data)[np.asarray(users_Q)]]
        return found
    within = items_of(group, data)[targets] & (np.asarray(targets) >= 0)
    if ranks.ndim == 1:
        found = ranks[within]
        return found
    found = np.where(within, ranks, 0)[within.any(axis=1)]
    return found
