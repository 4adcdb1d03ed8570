"""Training batches: which users, items, hard items and interactions each step sees.

All random choices are made here, in NumPy, from the epoch's generator; the model itself draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trials.data.dataset import IntArray, SearchData
from trials.dual.config import DualConfig
from trials.nn.cf import Interactions, Pairs
from trials.nn.ragged import Ragged

_POOL = 16
"""Batches that are sorted by length together: long enough to save padding, short enough to stay random."""


@dataclass(frozen=True)
class Contrast:
    """Choices of L_cl (section 2.2.4), one row a pair.

    Args:
        read_P: Read-out token of the anchor `h_SEQ`, counted through the batch.
        positive_P: The next item j+.
        negatives_PK: Hard items of j+.
    """

    read_P: IntArray
    positive_P: IntArray
    negatives_PK: IntArray


@dataclass(frozen=True)
class Batch:
    """One step.

    Args:
        users_B: User rows.
        histories: Items 1 to n - 1 of each window. The n-th is a target only: reading it could change nothing.
        targets_R: The item after each of them, one after the other.
        align_A: Items of L_align.
        contrast: Choices of L_cl; None without it.
        pairs: Interactions of L_cf; None without it.
    """

    users_B: IntArray
    histories: Ragged
    targets_R: IntArray
    align_A: IntArray
    contrast: Contrast | None
    pairs: Pairs | None


def share(batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
    """One worker's part of a batch: a run of its sequences, of the aligned items and of the interactions.

    Returns:
        The part, and of each loss the share of its examples that lie in the part; see `Recommender.share`.
    """

    def run(count: int) -> tuple[int, int]:
        return count * rank // workers, count * (rank + 1) // workers

    first, stop = run(len(batch.users_B))
    empty = first == stop
    if empty:  # fewer sequences than workers; the loss reads at least one
        first, stop = 0, 1
    begin, end = (int(batch.histories.offsets[row]) for row in (first, stop))
    weights = {"seq": 0.0 if empty else (end - begin) / len(batch.targets_R)}
    align_A = batch.align_A[slice(*run(len(batch.align_A)))]
    if len(batch.align_A):
        weights["align"] = len(align_A) / len(batch.align_A)
    contrast = None
    if (whole := batch.contrast) is not None:
        mine_P = (begin <= whole.read_P) & (whole.read_P < end) & (not empty)
        weights["cl"] = float(mine_P.mean())
        if mine_P.any():
            contrast = Contrast(whole.read_P[mine_P] - begin, whole.positive_P[mine_P], whole.negatives_PK[mine_P])
    pairs = None
    if (every := batch.pairs) is not None:
        low, high = run(len(every.users_P))
        weights["cf"] = (high - low) / len(every.users_P)
        if low < high:
            pairs = Pairs(every.users_P[low:high], every.items_P[low:high], every.negatives_PK[low:high])
    part = Batch(
        users_B=batch.users_B[first:stop],
        histories=batch.histories.take(np.arange(first, stop)),
        targets_R=batch.targets_R[begin:end],
        align_A=align_A,
        contrast=contrast,
        pairs=pairs,
    )
    return part, weights


class Batcher:
    """Makes the batches of an epoch.

    An epoch is one pass over the users with at least two training items. Step s of it also sees the next
    `align_batch_size` items of a shuffled list of all items, and the next share of all users' interactions, so
    that an epoch of L_cf is one pass over the interaction matrix.

    Args:
        config: The method's settings.
        data: Training sequences.
        words_N: Tokens of each item's sentence; batches hold sequences of similar length.
        hard: Hard items of every item, or None without L_cl.
        interactions: For L_cf, or None without it.
        align: Whether L_align is wanted.
    """

    def __init__(
        self,
        config: DualConfig,
        data: SearchData,
        words_N: IntArray,
        *,
        hard: Ragged | None,
        interactions: Interactions | None,
        align: bool,
    ) -> None:
        self.config = config
        self.data = data
        self.words_N = words_N
        self.hard = hard
        self.interactions = interactions
        self.align = align
        self.users = np.flatnonzero(np.diff(data.train_offsets) >= 2)

    def __len__(self) -> int:
        return -(-len(self.users) // self.config.batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, all drawn from `rng`."""
        size = self.config.align_batch_size
        users = rng.permutation(self.users)
        starts = self._starts(users, rng)
        items = rng.permutation(self.data.num_items)
        shares = np.array_split(rng.permutation(self.data.num_users), len(self))
        for step, rows in enumerate(self._grouped(users, starts, rng)):
            windows = [self._window(user, start) for user, start in zip(users[rows], starts[rows], strict=True)]
            histories = Ragged.of([window[:-1] for window in windows])
            yield Batch(
                users_B=users[rows],
                histories=histories,
                targets_R=np.concatenate([window[1:] for window in windows]).astype(np.int64),
                align_A=items.take(np.arange(step * size, (step + 1) * size), mode="wrap") if self.align else items[:0],
                contrast=self._contrast(windows, histories, rng),
                pairs=self._pairs(shares[step], rng),
            )

    def _starts(self, users: IntArray, rng: np.random.Generator) -> IntArray:
        """First item of each user's window."""
        spare: IntArray = np.maximum(np.diff(self.data.train_offsets)[users] - (self.config.max_items + 1), 0)
        starts: IntArray = spare if self.config.windows == "last" else rng.integers(spare + 1)
        return starts

    def _window(self, user: int, start: int) -> IntArray:
        window: IntArray = self.data.history(user)[start : start + self.config.max_items + 1]
        return window

    def _grouped(self, users: IntArray, starts: IntArray, rng: np.random.Generator) -> list[IntArray]:
        """Rows of `users` batch by batch, of similar length in tokens."""
        tokens = np.array(
            [self.words_N[self._window(u, s)].sum() for u, s in zip(users, starts, strict=True)], dtype=np.int64
        )
        size = self.config.batch_size
        batches: list[IntArray] = []
        for start in range(0, len(users), size * _POOL):
            pool = np.arange(start, min(start + size * _POOL, len(users)))
            pool = pool[np.argsort(tokens[pool], kind="stable")]
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _contrast(self, windows: list[IntArray], histories: Ragged, rng: np.random.Generator) -> Contrast | None:
        """Draw n_s positions of each window, never the last, and n_cl hard items of each one's next item.

        A next item without any hard item is left out.
        """
        if self.hard is None:
            return None
        reads: list[int] = []
        positives: list[int] = []
        negatives: list[IntArray] = []
        count = self.config.num_negatives
        for b, window in enumerate(windows):
            drawn = rng.permutation(len(window) - 1)[: self.config.num_samples]
            for j in drawn:
                hard = self.hard.row(int(window[j + 1]))
                if not len(hard):
                    continue
                reads.append(int(histories.offsets[b] + j))
                positives.append(int(window[j + 1]))
                negatives.append(rng.choice(hard, size=count, replace=len(hard) < count))
        if not reads:
            return None
        return Contrast(np.array(reads), np.array(positives), np.stack(negatives))

    def _pairs(self, users: IntArray, rng: np.random.Generator) -> Pairs | None:
        if self.interactions is None or not len(users):
            return None
        return self.interactions.pairs_of(users, self.config.cf_negatives, rng)
