"""Training windows and batches of them (section 4.1.2).

Shape letters: `U` users, `W` windows, `B` windows of a batch, `E` interactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trials.data.preparing.dataset import IntArray, SearchData
from trials.promptbert.prompts import Prompts, PromptTokens, first_kept
from trials.training.rows.grouping import grouped


@dataclass(frozen=True)
class Batch:
    """One step.

    Args:
        prompts: `B` prompts.
        users_B: Whose they are.
        targets_B: The item at [MASK].
    """

    prompts: Prompts
    users_B: IntArray
    targets_B: IntArray

    def __len__(self) -> int:
        return len(self.users_B)

    def rows(self, start: int, stop: int) -> Batch:
        """Windows `start` to `stop - 1`."""
        return Batch(self.prompts.rows(start, stop), self.users_B[start:stop], self.targets_B[start:stop])


def targets(offsets: IntArray, stride: int, most: int | None) -> tuple[IntArray, IntArray]:
    """Users and places of all windows' targets: `[W]` each, a user's latest first.

    With N training items, window j = 1 .. J has the target `i_j = N - (j - 1) s`, and
    `J = min(M, floor((N - 2) / s) + 1)`: every target has at least one item before it. Validation and test items are
    no training items, hence never targets.

    Args:
        offsets: `[U + 1]`; user u has the interactions `offsets[u]` to `offsets[u + 1] - 1`.
        stride: s.
        most: M; None for no bound.

    Source: section 4.1.2.

    >>> [part.tolist() for part in targets(np.array([0, 1, 8]), stride=2, most=8)]
    [[1, 1, 1], [7, 5, 3]]
    """
    lengths_U = np.diff(offsets)
    counts_U = np.where(lengths_U >= 2, (lengths_U - 2) // stride + 1, 0)
    if most is not None:
        counts_U = np.minimum(most, counts_U)
    users_W = np.repeat(np.arange(len(lengths_U)), counts_U)
    within_W = np.arange(len(users_W)) - np.repeat(np.cumsum(counts_U) - counts_U, counts_U)
    return users_W, offsets[users_W + 1] - 1 - stride * within_W


class Windows:
    """All windows of the training sequences, cut to the budget once, and batches of them.

    Args:
        data: Training sequences.
        tokens: Pieces of prompts.
        max_tokens: Longest prompt.
        stride: s.
        most: M; None for no bound.
        batch_size: Windows a batch.
        unrated_share: Share of windows whose ratings are left out, in [0, 1]; they are cut to the budget as the others.
    """

    def __init__(
        self,
        data: SearchData,
        tokens: PromptTokens,
        *,
        max_tokens: int,
        stride: int,
        most: int | None,
        batch_size: int,
        unrated_share: float = 0.0,
    ) -> None:
        self._tokens = tokens
        self._batch_size = batch_size
        self._unrated_share = unrated_share
        self._items = np.asarray(data.train_items, dtype=np.int64)
        self._statements_E2 = tokens.statements(self._items, data.ratings if len(data.ratings) else None)
        ends = np.concatenate([[0], np.cumsum(tokens.lengths(self._statements_E2))])
        self.users_W, self.targets_W = targets(np.asarray(data.train_offsets), stride, most)
        first_W = np.asarray(data.train_offsets)[self.users_W]
        self.starts_W = first_kept(ends, first_W, self.targets_W, max_tokens - tokens.frame)
        self.lengths_W = tokens.frame + ends[self.targets_W] - ends[self.starts_W]
        """Tokens of each window's prompt."""

    def __len__(self) -> int:
        return -(-len(self.users_W) // self._batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Every window once, in an order drawn from `rng`, in batches of similar length."""
        unrated_W = rng.random(len(self.users_W)) < self._unrated_share
        order = rng.permutation(len(self.users_W))
        for rows in grouped(self.lengths_W, self._batch_size, rng, order):
            yield self.batch(rows, unrated_W[rows])

    def batch(self, rows: IntArray, unrated: NDArray[np.bool_] | None = None) -> Batch:
        """The batch of these windows, some of them without ratings."""
        statements = [self._statements_E2[self.starts_W[row] : self.targets_W[row]] for row in rows]
        if unrated is not None:
            for b in np.flatnonzero(unrated):
                statements[b] = self._tokens.unrated(statements[b])
        prompts = self._tokens.assemble(statements)
        return Batch(prompts, self.users_W[rows], self._items[self.targets_W[rows]])
