"""Training an encoder that reads from left to right: every place of a window predicts the next item, all at once.

SASRec and GRU4Rec train so. Shape letters: `B` windows or queries, `L` places, `D` width, `N` items, `P` places with
a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.histories import by_length, encoded, pad_right
from trials.backbones.recommenders.settings import WindowSettings
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.recommender import Losses, Recommender
from trials.training.rows.windows import rows_of, windows


class CausalEncoder(Protocol):
    """States of histories that depend at each place on the items up to it only."""

    def __call__(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]` of items that are padded on the right."""
        ...

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history."""
        ...

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`."""
        ...


class NextItemModel(Recommender):
    """An encoder with full softmax cross-entropy at all places.

    Args:
        encoder: A module that is a `CausalEncoder`.
        data: Whose training sequences.
        settings: Window lengths and batch size.
    """

    def __init__(self, encoder: nn.Module, data: SearchData, settings: WindowSettings) -> None:
        super().__init__()
        self.encoder = encoder
        self._items = np.asarray(data.train_items)
        self._windows_W2 = windows(data.train_offsets, settings.max_length, settings.stride or settings.max_length)
        self._batch_size, self._max_length = settings.batch_size, settings.max_length

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Queries]:
        """Windows in a new order, `batch_size` at a time, as ragged rows of at most `max_length + 1` items."""
        order = rng.permutation(len(self._windows_W2))
        for start in range(0, len(order), self._batch_size):
            yield rows_of(self._items, self._windows_W2[order[start : start + self._batch_size]])

    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._windows_W2) // self._batch_size)

    def loss(self, batch: Queries) -> Losses:
        """`next`: mean cross-entropy of the next item over all places of all windows."""
        states, targets = [], []
        for rows in by_length(np.diff(batch.offsets), self._device()):
            part = batch.of(rows)
            items_BL, lengths_B = (tensor.to(self._device()) for tensor in pad_right(part.items, part.offsets))
            states_BLD = self._causal(items_BL[:, :-1])
            places = torch.arange(states_BLD.shape[1], device=lengths_B.device)
            has_target_BL = places < (lengths_B - 1)[:, None]
            states.append(states_BLD[has_target_BL])
            targets.append(items_BL[:, 1:][has_target_BL])
        logits_PN = self._causal.item_scores(torch.cat(states))
        return {"next": F.cross_entropy(logits_PN, torch.cat(targets))}

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
        return self._causal.item_scores(self.states(queries))

    def states(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history.

        Raises:
            ValueError: If a history is empty.
        """
        return encoded(self._causal.encode, queries, self._max_length, self._device())

    @property
    def _causal(self) -> CausalEncoder:
        encoder: CausalEncoder = self.encoder  # type: ignore[assignment]
        return encoder

    def _device(self) -> torch.device:
        return next(self.encoder.parameters()).device
