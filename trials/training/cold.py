"""Cold items: those with the fewest training interactions, on which figures are asked for apart as `cold/<metric>`.

Shape letter: `N` items.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from searchplat.contract import COLD
from trials.data.preparing.dataset import SearchData

SHARE = 0.35
"""Laser's "bottom 35 % of interactions"."""


def cold_items(data: SearchData) -> NDArray[np.bool_]:
    """The `floor(0.35 N)` items with the fewest training interactions, of equally many those of the earlier row; `[N]`.

    Source: Laser, section 5.3, after Kim et al. (2024). Differs: interactions are those in training, so that neither
    validation nor test says which items are cold.
    """
    cold_N = np.zeros(data.num_items, dtype=bool)
    rarest = np.argsort(data.popularity_N(), kind="stable")
    cold_N[rarest[: math.floor(SHARE * data.num_items)]] = True
    return cold_N


def is_cold(name: str) -> bool:
    """Whether a metric is over the users whose target is cold."""
    return name.startswith(COLD)
