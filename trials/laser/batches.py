"""Training batches: whose histories a step sees, and the item that follows each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trials.data.preparing.dataset import IntArray, SearchData
from trials.laser.config import LaserConfig
from trials.laser.instructions import Instructions
from trials.training.rows.grouping import grouped
from trials.training.rows.targets import TargetDrawer
from trials.training.rows.windows import windows


@dataclass(frozen=True)
class Batch:
    """One step.

    Args:
        histories: Items of each history or window that are read, oldest first.
        reads_W: How many beginnings of each are users to be embedded, the longest; 1 of a history.
        targets_B: The item after each beginning, window by window, the shortest beginning first.
    """

    histories: list[IntArray]
    reads_W: IntArray
    targets_B: IntArray


def share(batch: Batch, rank: int, workers: int) -> tuple[Batch, float]:
    """One worker's run of the histories, one at least, and the share of the batch's targets that lie in it."""
    count = len(batch.histories)
    first, stop = count * rank // workers, count * (rank + 1) // workers
    empty = first == stop
    if empty:
        first, stop = 0, 1
    ends_W = np.concatenate([[0], np.cumsum(batch.reads_W)])
    begin, end = int(ends_W[first]), int(ends_W[stop])
    part = Batch(batch.histories[first:stop], batch.reads_W[first:stop], batch.targets_B[begin:end])
    return part, 0.0 if empty else (end - begin) / len(batch.targets_B)


class Batcher:
    """Makes the batches of an epoch: one pass over the users with at least two training items, with one target or more.

    Args:
        config: Batch size, and which items are targets.
        data: Training sequences.
        instructions: Says how much of a history is read, and how long it is in tokens.
    """

    def __init__(self, config: LaserConfig, data: SearchData, instructions: Instructions) -> None:
        self.config = config
        self.data = data
        self.instructions = instructions
        self.drawer = TargetDrawer(data.train_offsets, config.targets_per_user, last=config.targets == "last")
        self.users = self.drawer.users
        self.windows_W2 = windows(data.train_offsets, config.max_items, config.window_stride or config.max_items)

    def __len__(self) -> int:
        count = len(self.drawer) if self.config.passes == "single" else self._count_windows()
        return -(-count // self.config.batch_size)

    def _count_windows(self) -> int:
        counts_U = np.bincount(self._owners())
        return int(np.minimum(counts_U, self.config.windows_per_user or counts_U.max()).sum())

    def _owners(self) -> IntArray:
        """The user of each window."""
        owners: IntArray = np.searchsorted(self.data.train_offsets, self.windows_W2[:, 0], side="right") - 1
        return owners

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, of users with lists of similar length, all drawn from `rng`."""
        if self.config.passes == "windows":
            yield from self._epoch_of_windows(rng)
            return
        users, places = self.drawer.draw(rng)
        targets = self.data.train_items[self.data.train_offsets[users] + places]
        histories = [
            self.instructions.kept(self.data.history(user)[:place])
            for user, place in zip(users.tolist(), places.tolist(), strict=True)
        ]
        tokens = np.array([self.instructions.length(items) for items in histories])
        for rows in grouped(tokens, self.config.batch_size, rng):
            ones = np.ones(len(rows), dtype=np.int64)
            yield Batch([histories[row] for row in rows], ones, targets[rows].astype(np.int64))

    def _epoch_of_windows(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows of all users, or some of each user's, in random order; each target in its latest window alone."""
        offsets, config = self.data.train_offsets, self.config
        owners_W = self._owners()
        order = np.lexsort((rng.random(len(owners_W)), owners_W))  # each user's windows shuffled
        nth_W = np.arange(len(order)) - np.searchsorted(owners_W, owners_W[order])
        drawn = rng.permutation(order[nth_W < (config.windows_per_user or len(order))])
        bounds_W2 = self.windows_W2[drawn]
        lengths_W = bounds_W2[:, 1] - bounds_W2[:, 0] - 1
        starts_W = bounds_W2[:, 0] == offsets[owners_W[drawn]]
        reads_W = np.where(starts_W, lengths_W, np.minimum(lengths_W, config.window_stride or config.max_items))
        for rows in grouped(lengths_W, config.batch_size, rng):
            cut = [self.data.train_items[first:stop] for first, stop in bounds_W2[rows]]
            targets = [items[len(items) - reads :] for items, reads in zip(cut, reads_W[rows].tolist(), strict=True)]
            yield Batch([items[:-1] for items in cut], reads_W[rows], np.concatenate(targets).astype(np.int64))
