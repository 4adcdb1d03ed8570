"""Training batches: which users, items, hard items and interactions each step sees.

All choices are made here, in NumPy, from the epoch's generator; the model itself draws nothing but its dropout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trials.data.preparing.dataset import IntArray, SearchData
from trials.dual.config import DualConfig
from trials.nn.cf import Interactions, Pairs
from trials.nn.ragged import Ragged
from trials.training.rows.grouping import grouped
from trials.training.rows.windows import windows


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
        users_B: User row of each window.
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

    An epoch is one pass over the windows of the users with at least two training items. Step s of it also sees the next
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
        # Stride = inputs of a window: each next item is a target once. Without "all", the last windows alone.
        every_W2 = windows(data.train_offsets, config.max_items, config.max_items)
        last_W = np.isin(every_W2[:, 1], data.train_offsets[1:])
        self._windows_W2 = every_W2 if config.windows == "all" else every_W2[last_W]

    def __len__(self) -> int:
        return -(-len(self._windows_W2) // self.config.batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, all drawn from `rng`."""
        size = self.config.align_batch_size
        windows_W2 = self._drawn(rng)
        offsets = self.data.train_offsets
        users_W = np.searchsorted(offsets, windows_W2[:, 0], side="right") - 1
        items = rng.permutation(self.data.num_items)
        shares = np.array_split(rng.permutation(self.data.num_users), len(self))
        for step, rows in enumerate(self._grouped(windows_W2, rng)):
            cut = [self.data.train_items[first:stop] for first, stop in windows_W2[rows]]
            histories = Ragged.of([window[:-1] for window in cut])
            yield Batch(
                users_B=users_W[rows],
                histories=histories,
                targets_R=np.concatenate([window[1:] for window in cut]).astype(np.int64),
                align_A=items.take(np.arange(step * size, (step + 1) * size), mode="wrap") if self.align else items[:0],
                contrast=self._contrast(cut, histories, rng),
                pairs=self._pairs(shares[step], rng),
            )

    def _drawn(self, rng: np.random.Generator) -> IntArray:
        """`[W, 2]` first and stop, among all training items, of an epoch's windows, in random order."""
        windows_W2: IntArray = rng.permutation(self._windows_W2)
        if self.config.windows != "random":
            return windows_W2
        firsts = self.data.train_offsets[np.searchsorted(self.data.train_offsets, windows_W2[:, 0], side="right") - 1]
        spare = windows_W2[:, 0] - firsts
        moved: IntArray = windows_W2 - (spare - rng.integers(spare + 1))[:, None]
        return moved

    def _grouped(self, windows_W2: IntArray, rng: np.random.Generator) -> list[IntArray]:
        """Rows of the windows batch by batch, of similar length in tokens."""
        before = np.concatenate([[0], np.cumsum(self.words_N[self.data.train_items])])
        tokens = before[windows_W2[:, 1]] - before[windows_W2[:, 0]]
        return grouped(tokens, self.config.batch_size, rng)

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
