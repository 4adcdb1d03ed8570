"""Cold items apart from the rest (section 5.3). Shape letters: `N` items, `U` users."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from trials.data.dataset import IntArray, SearchData
from trials.training.metrics import summarise

COLD_SHARE = 0.35
"""The paper's "bottom 35 % of interactions"."""


class ColdItems:
    """Which users' validation item is cold.

    Cold are the `floor(0.35 N)` items with the fewest training interactions, of equally many those of the earlier row.

    Args:
        data: Training interactions and validation items.

    Source: Laser, section 5.3, after Kim et al. (2024). Differs: interactions are those in training, so that
    validation does not say which items are cold.
    """

    def __init__(self, data: SearchData) -> None:
        cold_N = np.zeros(data.num_items, dtype=bool)
        rarest = np.argsort(data.popularity_N(), kind="stable")
        cold_N[rarest[: math.floor(COLD_SHARE * data.num_items)]] = True
        self.cold_N = cold_N
        self._targets_U = data.valid_target_U

    def report(self, ranks_U: IntArray, names: Iterable[str]) -> dict[str, float]:
        """`cold/<metric>` and `rest/<metric>`, with `cold/users` and `rest/users`; a group without users has none."""
        cold_U = self.cold_N[self._targets_U]
        names = list(names)
        found: dict[str, float] = {}
        for group, of_group in (("cold", cold_U), ("rest", ~cold_U)):
            found[f"{group}/users"] = float(of_group.sum())
            if of_group.any():
                found |= {f"{group}/{key}": value for key, value in summarise(ranks_U[of_group], names).items()}
        return found

    @property
    def num_cold(self) -> int:
        """Cold items."""
        return int(self.cold_N.sum())
