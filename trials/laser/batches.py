"""Training batches: whose histories a step sees, and the item that follows each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trials.data.dataset import IntArray, SearchData
from trials.laser.config import LaserConfig
from trials.laser.instructions import Instructions

_POOL = 16
"""Batches that are sorted by length together: long enough to save padding, short enough to stay random."""


@dataclass(frozen=True)
class Batch:
    """One step.

    Args:
        histories: Items of each user that are read, oldest first.
        targets_B: The item after each.
    """

    histories: list[IntArray]
    targets_B: IntArray


def share(batch: Batch, rank: int, workers: int) -> tuple[Batch, float]:
    """One worker's run of the users, one at least, and the share of the batch's users that lie in it."""
    count = len(batch.targets_B)
    first, stop = count * rank // workers, count * (rank + 1) // workers
    weight = (stop - first) / count
    stop = max(stop, first + 1)
    if stop > count:
        first, stop = 0, 1
    return Batch(batch.histories[first:stop], batch.targets_B[first:stop]), weight


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
        self.users = np.flatnonzero(np.diff(data.train_offsets) >= 2)
        most = 1 if config.targets == "last" else config.targets_per_user
        places_U = np.diff(data.train_offsets)[self.users] - 1
        self.counts_U = places_U if most is None else np.minimum(places_U, most)
        """Targets of each of these users in an epoch."""

    def __len__(self) -> int:
        return -(-int(self.counts_U.sum()) // self.config.batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, of users with lists of similar length, all drawn from `rng`."""
        users, places = self._targets(rng)
        targets = self.data.train_items[self.data.train_offsets[users] + places]
        histories = [
            self.instructions.kept(self.data.history(user)[:place])
            for user, place in zip(users.tolist(), places.tolist(), strict=True)
        ]
        tokens = np.array([self.instructions.length(items) for items in histories])
        size = self.config.batch_size
        rows: list[IntArray] = []
        for start in range(0, len(users), size * _POOL):
            pool = start + np.argsort(tokens[start : start + size * _POOL], kind="stable")
            rows += [pool[i : i + size] for i in range(0, len(pool), size)]
        for i in rng.permutation(len(rows)):
            yield Batch([histories[row] for row in rows[i]], targets[rows[i]].astype(np.int64))

    def _targets(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Users and places of an epoch's targets, in random order; no place twice."""
        if self.counts_U.max(initial=1) == 1:
            users = rng.permutation(self.users)
            last = np.diff(self.data.train_offsets)[users] - 1
            return users, last if self.config.targets == "last" else rng.integers(1, last + 1)
        last_U = np.diff(self.data.train_offsets)[self.users] - 1
        users = np.repeat(np.arange(len(self.users)), last_U)
        places = 1 + np.arange(len(users)) - np.repeat(np.cumsum(last_U) - last_U, last_U)
        order = np.lexsort((rng.random(len(users)), users))  # each user's places shuffled
        users, places, nth = users[order], places[order], places - 1
        chosen = rng.permutation(np.flatnonzero(nth < self.counts_U[users]))
        return self.users[users[chosen]], places[chosen]
