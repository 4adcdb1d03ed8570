"""Segments of training sequences: the shared prompts of one user's neighbouring targets, and batches of them.

Shape letters: `U` users, `B` prompts of a batch, `L` statements, `T` targets of a prompt, `E` interactions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trials.data.preparing.dataset import IntArray, SearchData
from trials.promptbert.windows import targets
from trials.training.rows.grouping import POOL


@dataclass(frozen=True)
class SharedBatch:
    """Prompts that several targets share; padded on the right, items with 0.

    Args:
        items_BL: Items of the statements, oldest first.
        lengths_B: Statements of each prompt.
        read_BT: Statements before each [MASK], in [0, length].
        asked_BT: Whether there is a [MASK] at all.
        users_B: Whose prompts they are.
        targets_BT: The item at each [MASK], 0 where there is none.
    """

    items_BL: IntArray
    lengths_B: IntArray
    read_BT: IntArray
    asked_BT: NDArray[np.bool_]
    users_B: IntArray
    targets_BT: IntArray

    def __len__(self) -> int:
        return len(self.users_B)

    def rows(self, start: int, stop: int) -> SharedBatch:
        """Prompts `start` to `stop - 1`."""
        rows = slice(start, stop)
        return SharedBatch(
            self.items_BL[rows],
            self.lengths_B[rows],
            self.read_BT[rows],
            self.asked_BT[rows],
            self.users_B[rows],
            self.targets_BT[rows],
        )


def segments(first: int, stop: int, most: int, phase: int) -> list[tuple[int, int]]:
    """Cut the places `first` to `stop - 1` into runs of `most`, the first one of `phase`, in [1, most].

    >>> segments(2, 12, most=4, phase=3)
    [(2, 5), (5, 9), (9, 12)]
    """
    cuts = [first, *range(first + phase, stop, most), stop]
    return list(itertools.pairwise(cuts))


class Segments:
    """All targets of the training sequences, in prompts that share statements.

    The targets are those of section 4.1.2 (`windows.targets`). Neighbouring ones are asked for in one prompt of at most
    `max_statements` statements. Where a user's sequence is cut is drawn anew each epoch, so that a target has now more,
    now fewer statements before it.

    Args:
        data: Training sequences.
        max_statements: Statements of a prompt, at most.
        stride, most: s and M.
        batch_size: Prompts a batch, about.
    """

    def __init__(
        self, data: SearchData, *, max_statements: int, stride: int, most: int | None, batch_size: int
    ) -> None:
        self._items = np.asarray(data.train_items, dtype=np.int64)
        self._size = max_statements
        offsets = np.asarray(data.train_offsets, dtype=np.int64)
        users_W, targets_W = targets(offsets, stride, most)
        self._target_E = np.zeros(len(self._items), dtype=bool)
        self._target_E[targets_W] = True
        self.users_U, last_U = np.unique(users_W, return_index=True)
        counts_U = np.diff(np.append(last_U, len(users_W)))
        self._spans_U2 = np.stack([targets_W[last_U + counts_U - 1], targets_W[last_U] + 1], axis=1)
        """From a user's first target to behind the last."""
        self._starts_U = offsets[self.users_U]
        spans_U = self._spans_U2[:, 1] - self._spans_U2[:, 0]
        after_SU = np.maximum(spans_U - np.arange(1, max_statements + 1)[:, None], 0)
        prompts = float((1 + -(-after_SU // max_statements)).sum(axis=1).mean()) if len(spans_U) else 0.0
        self._count = math.ceil(prompts / batch_size)

    def __len__(self) -> int:
        return self._count

    def epoch(self, rng: np.random.Generator) -> Iterator[SharedBatch]:
        """Every target once, in an order drawn from `rng`, in batches of prompts of similar length."""
        phases_U = rng.integers(1, self._size, size=len(self.users_U), endpoint=True)
        cut = [
            (user, start, first, stop)
            for user, start, span, phase in zip(self.users_U, self._starts_U, self._spans_U2, phases_U, strict=True)
            for first, stop in segments(int(span[0]), int(span[1]), self._size, int(phase))
        ]
        rows = np.array(cut, dtype=np.int64)
        # As many batches in every epoch, however many prompts its cuts make.
        count = min(self._count, len(rows))
        edges = np.linspace(0, count, -(-count // POOL) + 1, dtype=np.int64)
        pools = np.split(rng.permutation(len(rows)), edges[1:-1] * len(rows) // count)
        batches: list[IntArray] = []
        for pool, parts in zip(pools, np.diff(edges).tolist(), strict=True):
            pool = pool[np.argsort(rows[pool, 3] - rows[pool, 2], kind="stable")]
            batches += np.array_split(pool, parts)
        for i in rng.permutation(len(batches)):
            yield self.batch(rows[batches[i]])

    def batch(self, rows_B4: IntArray) -> SharedBatch:
        """The batch of these segments: user, start of the user's sequence, first and last + 1 place of a target."""
        begins_B = np.maximum(rows_B4[:, 1], rows_B4[:, 3] - 1 - self._size)
        lengths_B = rows_B4[:, 3] - 1 - begins_B
        within_L = np.arange(lengths_B.max())
        places_BL = begins_B[:, None] + within_L
        inside_BL = within_L < lengths_B[:, None]
        items_BL = np.where(inside_BL, self._items[np.where(inside_BL, places_BL, 0)], 0)
        next_BL = np.where(inside_BL, places_BL + 1, 0)
        wanted_BL = inside_BL & (next_BL >= rows_B4[:, 2:3]) & self._target_E[next_BL]
        counts_B = wanted_BL.sum(1)
        asked_BT = np.arange(counts_B.max()) < counts_B[:, None]
        read_BT = np.zeros(asked_BT.shape, dtype=np.int64)
        read_BT[asked_BT] = (np.broadcast_to(within_L, wanted_BL.shape) + 1)[wanted_BL]
        targets_BT = np.zeros_like(read_BT)
        targets_BT[asked_BT] = self._items[next_BL[wanted_BL]]
        return SharedBatch(items_BL, lengths_B, read_BT, asked_BT, rows_B4[:, 0], targets_BT)
