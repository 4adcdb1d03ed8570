"""What everybody's lists of the k best items are like, beyond whether they hold the target.

`evaluation` makes the lists while it ranks. Formulas and sources: `docs/measures.md`. Shape letters: `Q` queries, `K`
places of a list, `P` pairs of places, `N` items, `R` items that are in any list.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from searchplat.contract.measures import parse
from trials.data.preparing.dataset import IntArray, Queries, SearchData

DENSE = 4096
"""Up to this many items their similarities are kept as one matrix (64 MiB); of more, only of a block at a time."""

BLOCK = 1 << 24
"""Similarities of a block (64 MiB)."""

Floats = NDArray[np.float64]


class ListMeasures:
    """The measures of lists, by what a data set's training interactions say of its items.

    Args:
        data: Whose training interactions count.
    """

    def __init__(self, data: SearchData) -> None:
        self._data = data

    def summarise(self, lists_QK: IntArray, queries: Queries, names: Iterable[str]) -> dict[str, float]:
        """The named measures; NaN where there is nothing to measure.

        Args:
            lists_QK: Item rows, best first; below 0 at the end of a list that has fewer items.
            queries: The histories that the lists answer, for `popularity_lift`.
            names: Such as `coverage@10`, k at most K.
        """
        found = {}
        for name in names:
            metric = parse(name)
            assert metric.k is not None
            assert metric.k <= lists_QK.shape[1] or lists_QK.shape[1] == self._data.num_items
            found[name] = self._value(metric.kind, lists_QK[:, : metric.k], queries)
        return found

    def _value(self, kind: str, lists_QK: IntArray, queries: Queries) -> float:
        counts_N = np.bincount(lists_QK[lists_QK >= 0], minlength=self._data.num_items)
        if not counts_N.any():
            return math.nan
        if kind == "coverage":
            return float((counts_N > 0).mean())
        if kind == "gini":
            return gini(counts_N)
        if kind == "novelty":
            return _mean(self._self_information_N[lists_QK], lists_QK >= 0)
        if kind == "diversity":
            return self._diversity(lists_QK)
        popularity = _mean(self._popularity_N[lists_QK], lists_QK >= 0)
        return popularity if kind == "popularity" else popularity / self._of_histories(queries) - 1

    def _of_histories(self, queries: Queries) -> float:
        """Mean over histories of the mean popularity of their items."""
        lengths_Q = np.diff(queries.offsets)
        rows = np.repeat(np.arange(len(queries)), lengths_Q)
        sums_Q = np.bincount(rows, weights=self._popularity_N[queries.items], minlength=len(queries))
        some = lengths_Q > 0
        return float((sums_Q[some] / lengths_Q[some]).mean()) if some.any() else math.nan

    def _diversity(self, lists_QK: IntArray) -> float:
        """Of lists of fewer than two items nothing is known, and they are left out."""
        first, second = np.triu_indices(lists_QK.shape[1], 1)
        there_QP = (lists_QK[:, first] >= 0) & (lists_QK[:, second] >= 0)
        pairs_Q = there_QP.sum(axis=1)
        if not pairs_Q.any():
            return math.nan
        weights = (there_QP / np.maximum(pairs_Q, 1)[:, None])[there_QP]
        left, right = lists_QK[:, first][there_QP], lists_QK[:, second][there_QP]
        similar_NN = self._similar_NN
        if similar_NN is not None:
            similar = float((similar_NN[left, right] * weights).sum())
        else:
            similar = self._by_blocks(left, right, weights)
        return 1 - similar / int((pairs_Q > 0).sum())

    def _by_blocks(self, left: IntArray, right: IntArray, weights: Floats) -> float:
        """The weighted sum of similarities, for a block of the listed items after the other."""
        listed, places = np.unique(np.concatenate([left, right]), return_inverse=True)
        unit_RU, count = _unit(self._met_NU[listed]), len(listed)
        ends = places.reshape(2, -1)
        pairs, which = np.unique(ends.min(axis=0) * count + ends.max(axis=0), return_inverse=True)
        weights_by_pair = np.bincount(which, weights=weights)
        total, block = 0.0, max(1, BLOCK // count)
        for start in range(0, count, block):
            low, high = np.searchsorted(pairs, (start * count, (start + block) * count))
            if low < high:
                similar = (unit_RU[start : start + block] @ unit_RU.T).toarray()
                rows, columns = np.divmod(pairs[low:high], count)
                total += float((similar[rows - start, columns] * weights_by_pair[low:high]).sum())
        return total

    @functools.cached_property
    def _popularity_N(self) -> IntArray:
        return self._data.popularity_N()

    @functools.cached_property
    def _met_NU(self) -> scipy.sparse.csr_matrix:
        """Which user has met which item in training, 0 or 1."""
        data = self._data
        users_E = np.repeat(np.arange(data.num_users), np.diff(data.train_offsets))
        ones_E = np.ones(len(users_E), dtype=np.float32)
        met = scipy.sparse.csr_matrix((ones_E, (data.train_items, users_E)), shape=(data.num_items, data.num_users))
        met.sum_duplicates()
        met.data[:] = 1
        return met

    @functools.cached_property
    def _self_information_N(self) -> Floats:
        """An item that nobody has met counts as if one user had, as in RecTools."""
        users_N = np.diff(self._met_NU.indptr)
        found: Floats = -np.log2(np.maximum(users_N, 1) / self._data.num_users)
        return found

    @functools.cached_property
    def _similar_NN(self) -> NDArray[np.float32] | None:
        if self._data.num_items > DENSE:
            return None
        unit = _unit(self._met_NU)
        found: NDArray[np.float32] = (unit @ unit.T).toarray()
        return found


def gini(counts_N: IntArray) -> float:
    """Gini's index of how often items are recommended: 0 if all equally, near 1 if all lists are the same few.

    >>> gini(np.array([3, 3, 3])), gini(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    """
    sorted_N, n = np.sort(counts_N).astype(np.float64), len(counts_N)
    return float((sorted_N * (2 * np.arange(1, n + 1) - n - 1)).sum() / (n * sorted_N.sum()))


def _unit(met_RU: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Rows of length 1, whose products are cosines between items as sets of users; 0 for an item without any."""
    lengths_R = np.sqrt(np.maximum(np.diff(met_RU.indptr), 1))
    unit: scipy.sparse.csr_matrix = (scipy.sparse.diags((1 / lengths_R).astype(np.float32)) @ met_RU).tocsr()
    return unit


def _mean(values_QK: NDArray[np.number], there_QK: NDArray[np.bool_]) -> float:
    """Mean over lists of each list's mean; lists without items are left out."""
    counts_Q = there_QK.sum(axis=1)
    some = counts_Q > 0
    return float((np.where(there_QK, values_QK, 0).sum(axis=1)[some] / counts_Q[some]).mean())
