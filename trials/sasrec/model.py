"""SASRec as a recommender: every place of a window predicts the next item, by a softmax over all items.

Shape letters: `B` windows or queries, `L` places, `D` width, `N` items, `P` places with a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trials.backbones.sasrec import SASRecEncoder, pad_right
from trials.data.dataset import Queries, SearchData
from trials.sasrec.config import SASRecConfig
from trials.training.recommender import Losses, Recommender

Ints = NDArray[np.int64]


class SASRecModel(Recommender):
    """SASRec with full softmax cross-entropy.

    Source: Kang and McAuley, ICDM 2018, section III. Differs: cross-entropy over all items and not binary
    cross-entropy with one sampled negative, as RecBole (`loss_type: CE`) and the papers that compare with it; all
    targets of a long sequence and not of its last window only.

    Args:
        config: Sizes, window lengths and batch size.
        data: Whose training sequences.
    """

    def __init__(self, config: SASRecConfig, data: SearchData) -> None:
        super().__init__()
        self.encoder = SASRecEncoder(
            data.num_items,
            max_length=config.max_length,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden_size=config.hidden_size,
            inner_size=config.inner_size,
            dropout=config.dropout,
        )
        self._items = np.asarray(data.train_items)
        self._windows_W2 = windows(data.train_offsets, config.max_length, config.stride or config.max_length)
        self._batch_size = config.batch_size

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Queries]:
        """Windows in a new order, `batch_size` at a time, as ragged rows of at most `max_length + 1` items."""
        order = rng.permutation(len(self._windows_W2))
        for start in range(0, len(order), self._batch_size):
            rows = self._windows_W2[order[start : start + self._batch_size]]
            items = np.concatenate([self._items[first:stop] for first, stop in rows])
            offsets = np.concatenate([[0], np.cumsum(rows[:, 1] - rows[:, 0])])
            yield Queries(np.full(len(rows), -1), items, offsets)

    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._windows_W2) // self._batch_size)

    def loss(self, batch: Queries) -> Losses:
        """`next`: mean cross-entropy of the next item over all places of all windows."""
        items_BL, lengths_B = (tensor.to(self._device()) for tensor in pad_right(batch.items, batch.offsets))
        states_BLD = self.encoder(items_BL[:, :-1])
        places = torch.arange(states_BLD.shape[1], device=lengths_B.device)
        has_target_BL = places < (lengths_B - 1)[:, None]
        logits_PN = self.encoder.item_scores(states_BLD[has_target_BL])
        return {"next": F.cross_entropy(logits_PN, items_BL[:, 1:][has_target_BL])}

    def share(self, batch: Queries, rank: int, workers: int) -> tuple[Queries, dict[str, float]]:
        """Every worker takes a run of windows, and weighs as many targets as they hold."""
        first, stop = len(batch) * rank // workers, len(batch) * (rank + 1) // workers
        if first == stop:
            return batch.rows(0, 1), {"next": 0.0}
        part = batch.rows(first, stop)
        targets = len(part.items) - len(part)
        return part, {"next": targets / (len(batch.items) - len(batch))}

    def scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of the item after each history, of which the latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        lengths = np.diff(queries.offsets)
        if len(lengths) and lengths.min() < 1:
            raise ValueError("SASRec scores what follows an item, but a history is empty; leave such queries out")
        recent = np.minimum(lengths, self.encoder.max_length)
        latest = np.arange(len(queries.items)) >= np.repeat(queries.offsets[1:] - recent, lengths)
        offsets = np.concatenate([[0], np.cumsum(recent)])
        items_BL, lengths_B = (tensor.to(self._device()) for tensor in pad_right(queries.items[latest], offsets))
        states_BLD = self.encoder(items_BL)
        last_BD = states_BLD[torch.arange(len(lengths_B), device=lengths_B.device), lengths_B - 1]
        return self.encoder.item_scores(last_BD)

    def _device(self) -> torch.device:
        return self.encoder.item_embedding.weight.device


def windows(offsets: NDArray[np.integer[Any]], max_length: int, stride: int) -> Ints:
    """Cut training sequences into windows of at most `max_length` inputs and the target after the last.

    The windows of a sequence end at its end and every `stride` items before, until the first covers its start, so
    that the latest targets have the longest histories, as in evaluation. Sequences of one item have no target.

    Args:
        offsets: `[U + 1]`; sequence u is `items[offsets[u]:offsets[u + 1]]`.

    Returns:
        `[W, 2]` first index and stop of each window.

    >>> windows(np.array([0, 1, 8]), max_length=3, stride=3).tolist()
    [[4, 8], [1, 5]]
    """
    rows = []
    for first, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        end = stop
        while end - first >= 2:
            start = max(first, end - max_length - 1)
            rows.append((start, end))
            if start == first:
                break
            end -= stride
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
