"""UniSRec as a recommender. Shape letters: `B` windows, `L` places, `D` width, `N` items, `P` places with a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.adaptor import Adaptor
from trials.backbones.recommenders.histories import at_last_places, by_length, encoded, latest, pad_right, refuse_empty
from trials.backbones.recommenders.transformer import INITIAL_STD, TransformerEncoder, initialise
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.recommender import Losses, Recommender
from trials.training.rows.windows import rows_of, windows
from trials.unisrec.config import UniSRecConfig
from trials.unisrec.texts import Vectors


@dataclass(frozen=True)
class Contrast:
    """A batch of pre-training.

    Args:
        windows: Of the whole batch, `[B]`.
        kept_E: `[E]`, aligned with the windows' items; false where the augmentation leaves an item out.
        fewer_words_B: `[B]` whether an augmentation has items with fewer words, and not fewer items.
        anchors: First and stop, in [0, B], of the windows that are trained on here.
    """

    windows: Queries
    kept_E: Any
    fewer_words_B: Any
    anchors: tuple[int, int]


class UniSRecModel(Recommender):
    """Causal self-attention over adapted texts.

    Source: Hou et al., KDD 2022. Pre-training: eq. 7 (a sequence's next item among the batch's items) and λ times eq. 8
    (a sequence's augmentation among those of the batch), on texts alone. Fine-tuning: eq. 9 (texts) or 10 (texts and
    ids), softmax over all items. Similarities are cosines over τ, as in the authors' code. Differs: a window's places
    are all trained on, and not its last alone; the batch's items are its different targets, so that none is its own
    negative; and pre-training reads the data that is fine-tuned on, as other domains are not to be had.

    Args:
        config: Sizes, losses, epochs.
        data: Whose training sequences.
        texts: Of all items.
    """

    texts_NW: Tensor
    fewer_NW: Tensor | None
    stage: Tensor

    def __init__(self, config: UniSRecConfig, data: SearchData, texts: Vectors) -> None:
        super().__init__()
        whole_NW, fewer_NW = texts
        self.register_buffer("texts_NW", whole_NW, persistent=False)
        self.register_buffer("fewer_NW", fewer_NW, persistent=False)
        self.adaptor = Adaptor(whole_NW.shape[1], config.hidden_size, config.experts, config.adaptor_dropout)
        self.encoder = TransformerEncoder(0, causal=True, **config.sizes)
        self.encoder.apply(initialise)
        if config.item_ids:
            self.item_embedding = nn.Embedding(data.num_items, config.hidden_size)
            nn.init.normal_(self.item_embedding.weight, std=INITIAL_STD)
        self._config = config
        self._items = np.asarray(data.train_items)
        self._windows_W2 = windows(data.train_offsets, config.max_length, config.stride or config.max_length)
        self._table_ND: Tensor | None = None
        # 1 once fine-tuning has begun: before that the items' own parts mean nothing. Kept with the weights.
        self.register_buffer("stage", torch.tensor(0 if config.pretrain_epochs else 1))

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Queries | Contrast]:
        """Windows in a new order, `batch_size` at a time; with what pre-training draws while that lasts."""
        pretrains = epoch < self._config.pretrain_epochs
        self.stage.fill_(0 if pretrains else 1)
        self._table_ND = None
        self.encoder.requires_grad_(pretrains or not self._config.freeze_encoder)
        order = rng.permutation(len(self._windows_W2))
        for start in range(0, len(order), self._config.batch_size):
            rows = rows_of(self._items, self._windows_W2[order[start : start + self._config.batch_size]])
            yield self._contrast_batch(rows, rng) if pretrains else rows

    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._windows_W2) // self._config.batch_size)

    def loss(self, batch: Queries | Contrast) -> Losses:
        """In pre-training `item` and `sequence` (weighted by λ), in fine-tuning `next`."""
        if isinstance(batch, Contrast):
            return self._pretraining(batch)
        table_ND = self._table()
        states, targets = [], []
        for chosen in by_length(np.diff(batch.offsets), table_ND.device):
            items_BL, has_target_BL = self._padded(batch.of(chosen))
            states.append(self._states(table_ND[items_BL[:, :-1]])[has_target_BL])
            targets.append(items_BL[:, 1:][has_target_BL])
        logits_PN = self._similarities(torch.cat(states), table_ND)
        return {"next": F.cross_entropy(logits_PN, torch.cat(targets))}

    def share(self, batch: Queries | Contrast, rank: int, workers: int) -> tuple[Any, dict[str, float]]:
        """Every worker takes a run of windows; in pre-training it tells them from all the batch's."""
        rows = batch.windows if isinstance(batch, Contrast) else batch
        first, stop = len(rows) * rank // workers, len(rows) * (rank + 1) // workers
        part = rows.rows(first, stop) if first < stop else rows.rows(0, 1)
        of_targets = (len(part.items) - len(part)) / (len(rows.items) - len(rows)) if first < stop else 0.0
        if not isinstance(batch, Contrast):
            return part, {"next": of_targets}
        weights = {"item": of_targets, "sequence": (stop - first) / len(rows)}
        anchors = (first, stop) if first < stop else (0, 1)
        return Contrast(rows, batch.kept_E, batch.fewer_words_B, anchors), weights

    def _contrast_batch(self, rows: Queries, rng: np.random.Generator) -> Contrast:
        fewer_words_B = rng.random(len(rows)) < 0.5
        kept_E = rng.random(len(rows.items)) >= self._config.item_drop
        kept_E |= np.repeat(fewer_words_B, np.diff(rows.offsets))
        # The last item is the target of eq. 7, and in no view of the sequence; one of the others always stays.
        spare_B = rows.offsets[:-1] + rng.integers(0, np.diff(rows.offsets) - 1)
        kept_E[spare_B] = True
        kept_E[rows.offsets[1:] - 1] = False
        return Contrast(rows, kept_E, fewer_words_B, (0, len(rows)))

    def _pretraining(self, batch: Contrast) -> Losses:
        table_ND = self.adaptor(self.texts_NW)
        rows = batch.windows
        first, stop = batch.anchors
        items_BL, has_target_BL = self._padded(rows)
        states_BLD = self._states(table_ND[items_BL[:, :-1]])
        is_anchor_BL = torch.zeros_like(has_target_BL)
        is_anchor_BL[first:stop] = has_target_BL[first:stop]
        candidates_C = torch.unique(items_BL[:, 1:][has_target_BL])
        targets_P = torch.searchsorted(candidates_C, items_BL[:, 1:][is_anchor_BL])
        losses = {
            "item": F.cross_entropy(self._similarities(states_BLD[is_anchor_BL], table_ND[candidates_C]), targets_P)
        }
        if self._config.lambda_seq:
            losses["sequence"] = self._config.lambda_seq * self._between_sequences(batch, states_BLD, table_ND)
        return losses

    def _between_sequences(self, batch: Contrast, states_BLD: Tensor, table_ND: Tensor) -> Tensor:
        """Eq. 8: the state of each anchor against those of all augmentations."""
        assert self.fewer_NW is not None
        rows, device = batch.windows, states_BLD.device
        lengths_B = torch.from_numpy(np.diff(rows.offsets) - 1).to(device)
        kept_B = np.add.reduceat(batch.kept_E, rows.offsets[:-1])
        items_BL, kept_lengths_B = pad_right(rows.items[batch.kept_E], np.concatenate([[0], np.cumsum(kept_B)]))
        by_words_B11 = torch.from_numpy(batch.fewer_words_B).to(device)[:, None, None]
        fewer_ND = self.adaptor(self.fewer_NW)
        items_BL = items_BL.to(device)
        vectors_BLD = torch.where(by_words_B11, fewer_ND[items_BL], table_ND[items_BL])
        augmented_BD = at_last_places(self._states(vectors_BLD), kept_lengths_B.to(device))
        first, stop = batch.anchors
        anchors_AD = at_last_places(states_BLD, lengths_B)[first:stop]
        return F.cross_entropy(self._similarities(anchors_AD, augmented_BD), torch.arange(first, stop, device=device))

    # ------------------------------------------------------------------ answering

    def start_evaluation(self) -> None:
        """Adapt all items' texts once."""
        self._table_ND = self._table()

    def scores(self, queries: Queries) -> Tensor:
        """Cosines over τ `[B, N]` with what follows each history, of which the latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        table_ND = self._table() if self._table_ND is None else self._table_ND

        def encode(some: Queries) -> Tensor:
            items, offsets = latest(some, self._config.max_length)
            refuse_empty(offsets, "UniSRec")
            items_BL, lengths_B = (tensor.to(table_ND.device) for tensor in pad_right(items, offsets))
            return at_last_places(self._states(table_ND[items_BL]), lengths_B)

        states_BD = encoded(encode, queries, self._config.max_length, table_ND.device)
        return self._similarities(states_BD, table_ND)

    # ------------------------------------------------------------------ parts

    def _table(self) -> Tensor:
        """Vectors `[N, D]` of all items: texts, and the items' own parts once fine-tuning has begun."""
        table_ND: Tensor = self.adaptor(self.texts_NW)
        return table_ND + self.item_embedding.weight if self._config.item_ids and self.stage else table_ND

    def _states(self, vectors_BLD: Tensor) -> Tensor:
        return self.encoder.through_layers(vectors_BLD, None)

    def _similarities(self, states_PD: Tensor, vectors_CD: Tensor) -> Tensor:
        return F.normalize(states_PD, dim=-1) @ F.normalize(vectors_CD, dim=-1).T / self._config.temperature

    def _padded(self, rows: Queries) -> tuple[Tensor, Tensor]:
        """Items `[B, L + 1]`, and which of the first L places have a target."""
        items_BL, lengths_B = (tensor.to(self.texts_NW.device) for tensor in pad_right(rows.items, rows.offsets))
        places_L = torch.arange(items_BL.shape[1] - 1, device=items_BL.device)
        return items_BL, places_L < (lengths_B - 1)[:, None]
