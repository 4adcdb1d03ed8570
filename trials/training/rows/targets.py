"""Which items of training sequences an epoch predicts from those before each, where a few are drawn of every user's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]


class TargetDrawer:
    """Draws an epoch's targets: one pass over the users with at least two training items, with one target or more.

    Args:
        offsets: `[U + 1]`; sequence u is `items[offsets[u]:offsets[u + 1]]`.
        most: Of a sequence; None for all of its items but the first.
        last: Whether the one target is the last item, and none is drawn.
    """

    def __init__(self, offsets: Ints, most: int | None, *, last: bool = False) -> None:
        lengths_U = np.diff(offsets)
        self.last = last
        self.users = np.flatnonzero(lengths_U >= 2)
        self.last_U = lengths_U[self.users] - 1
        most = 1 if last else most
        self.counts_U = self.last_U if most is None else np.minimum(self.last_U, most)
        """Targets of each of these users in an epoch."""

    def __len__(self) -> int:
        """Targets of an epoch."""
        return int(self.counts_U.sum())

    def draw(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Users and places of an epoch's targets, in random order; no place twice."""
        if self.counts_U.max(initial=1) == 1:
            order = rng.permutation(len(self.users))
            last = self.last_U[order]
            return self.users[order], last if self.last else rng.integers(1, last + 1)
        users = np.repeat(np.arange(len(self.users)), self.last_U)
        places = 1 + np.arange(len(users)) - np.repeat(np.cumsum(self.last_U) - self.last_U, self.last_U)
        order = np.lexsort((rng.random(len(users)), users))  # each user's places shuffled
        users, places, nth = users[order], places[order], places - 1
        chosen = rng.permutation(np.flatnonzero(nth < self.counts_U[users]))
        return self.users[users[chosen]], places[chosen]
