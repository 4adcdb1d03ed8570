"""Rows of different lengths in two flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row i is `values[offsets[i]:offsets[i+1]]`."""

    values: IntArray
    offsets: IntArray

    @staticmethod
    def of(rows: Sequence[Sequence[int]] | Sequence[IntArray]) -> Ragged:
        """Pack rows."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        values = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows] or [np.zeros(0, dtype=np.int64)])
        return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, i: int) -> IntArray:
        """Row i."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def lengths(self) -> IntArray:
        """Length of every row."""
        lengths: IntArray = np.diff(self.offsets)
        return lengths

    def take(self, rows: IntArray) -> Ragged:
        """These rows, in this order, packed anew."""
        lengths = self.lengths()[rows]
        starts = np.cumsum(lengths) - lengths
        index = np.repeat(self.offsets[rows] - starts, lengths) + np.arange(lengths.sum())
        return Ragged(self.values[index], np.concatenate([[0], np.cumsum(lengths)]))


def spread(values: IntArray, count: int) -> IntArray:
    """At most `count` of the values, evenly spread."""
    return values[np.linspace(0, len(values) - 1, min(count, len(values)), dtype=np.int64)]
