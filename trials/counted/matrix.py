"""Who met what as a sparse matrix, and the heaviest columns of its rows.

Shape letters: `U` users, `N` items, `R` rows, `K` columns kept of a row, `E` interactions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from trials.data.preparing.dataset import SearchData

Kept = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Columns `[R, K]` and their weights `[R, K]`, the heaviest first; weight 0 where a row has fewer than `K`."""


def met(data: SearchData) -> sparse.csr_array:
    """`[U, N]` float64, 1 where the user has met the item in training, however often."""
    users_E = np.repeat(np.arange(data.num_users), np.diff(data.train_offsets))
    ones_E = np.ones(len(data.train_items))
    found = sparse.csr_array((ones_E, (users_E, data.train_items)), shape=(data.num_users, data.num_items))
    found.sum_duplicates()
    found.data[:] = 1.0
    return found


def heaviest(weights_RN: sparse.csr_array, most: int) -> Kept:
    """The `most` heaviest columns of every row; of equal ones the lower column first.

    Args:
        weights_RN: Positive where something is stored.
    """
    rows, columns = weights_RN.shape
    held = weights_RN.tocoo()
    order = np.lexsort((held.col, -held.data, held.row))
    row, column, weight = held.row[order], held.col[order], held.data[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < most
    width = min(most, columns)
    items_RK = np.zeros((rows, width), dtype=np.int32)
    weights_RK = np.zeros((rows, width), dtype=np.float32)
    items_RK[row[kept], place[kept]] = column[kept]
    weights_RK[row[kept], place[kept]] = weight[kept]
    return items_RK, weights_RK
