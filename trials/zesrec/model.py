"""ZESRec as a recommender. Shape letters: `B` histories, `L` places, `W` width of texts, `D` width, `N` items."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trials.backbones.recommenders.histories import at_last_places, latest, pad_right, refuse_empty
from trials.backbones.recommenders.next_item import NextItemModel
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.recommender import Losses
from trials.zesrec.config import ZESRecConfig


class ZESRecEncoder(nn.Module):
    """Turns histories into user states, whose inner products with the items' vectors are scores.

    Source: Ding et al., 2021, section 3. Item network `z = T_e(x)`, one layer over a text vector (3.2); user network
    `T_u`, a GRU over z of the history (3.3); an item's vector is `v = z + ε`, ε from N(0, 1 / λ_v) (3.1). Differs: a
    user's vector is `T_u` itself and has no deviation of its own, which a user who was not in training could not have.

    Args:
        texts_NW: Of all items; centred, so that T_e begins with what tells them apart.
        config: Sizes.
    """

    texts_NW: Tensor

    def __init__(self, texts_NW: Tensor, config: ZESRecConfig) -> None:
        super().__init__()
        width = config.embedding_size
        self.max_length = config.max_length
        self.register_buffer("texts_NW", texts_NW - texts_NW.mean(0), persistent=False)
        self.item_network = nn.Linear(texts_NW.shape[1], width)
        self.deviation_ND = None if config.item_precision is None else nn.Parameter(torch.zeros(len(texts_NW), width))
        self.dropout = nn.Dropout(config.dropout)
        self.user_network = nn.GRU(width, config.hidden_size, config.num_layers, bias=False, batch_first=True)
        self.dense = nn.Linear(config.hidden_size, width)
        for weight in self.user_network.parameters():
            nn.init.xavier_uniform_(weight)

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]` of items that are padded on the right; each depends on the items up to it only."""
        recurrent_BLH, _ = self.user_network(self.dropout(self.item_network(self.texts_NW[items_BL])))
        states_BLD: Tensor = self.dense(recurrent_BLH)
        return states_BLD

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.max_length)
        refuse_empty(offsets, "ZESRec")
        items_BL, lengths_B = (tensor.to(self.texts_NW.device) for tensor in pad_right(items, offsets))
        return at_last_places(self(items_BL), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the items' vectors."""
        vectors_ND = self.item_network(self.texts_NW)
        if self.deviation_ND is not None:
            vectors_ND = vectors_ND + self.deviation_ND
        scores_BN: Tensor = states_BD @ vectors_ND.T
        return scores_BN


class ZESRecModel(NextItemModel):
    """ZESRec at the mode of its posterior: softmax over all items at all places, and the deviations' prior.

    Source: section 3.4, eq. 3: minus the logarithm of the posterior, divided by the number of targets.

    Args:
        config: Sizes, window lengths and batch size, the prior.
        data: Whose training sequences.
        texts: `[N, W]` of all items.
    """

    encoder: ZESRecEncoder

    def __init__(self, config: ZESRecConfig, data: SearchData, texts: NDArray[Any]) -> None:
        super().__init__(ZESRecEncoder(torch.from_numpy(texts), config), data, config)
        self._precision = config.item_precision
        self._targets = max(1, len(data.train_items) - data.num_users)

    def loss(self, batch: Queries) -> Losses:
        """`next` as SASRec, and `prior`: `λ_v / 2 Σ |ε|²` a target."""
        losses = super().loss(batch)
        if self.encoder.deviation_ND is not None and self._precision is not None:
            losses["prior"] = self._precision / 2 * self.encoder.deviation_ND.square().sum() / self._targets
        return losses

    def share(self, batch: Queries, rank: int, workers: int) -> tuple[Queries, dict[str, float]]:
        """As SASRec; every worker has its part of the prior."""
        part, weights = super().share(batch, rank, workers)
        return part, weights | ({"prior": 1 / workers} if self._precision is not None else {})
