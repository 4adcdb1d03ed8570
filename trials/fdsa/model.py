"""FDSA as a recommender: SASRec's training, over an encoder of two streams.

Shape letters: `B` histories, `L` places, `D` width, `N` items, `M` different items of a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trials.backbones.recommenders.histories import at_last_places, latest, refuse_empty
from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.transformer import LAYER_NORM_EPS, TransformerEncoder, initialise
from trials.data.preparing.dataset import Queries, SearchData
from trials.fdsa.config import FDSAConfig
from trials.fdsa.features import ItemFeatures, number_words


class FDSAEncoder(nn.Module):
    """Turns histories into states of both streams, whose inner products with the item table are scores.

    Source: Zhang et al., IJCAI 2019, section 3.4 to 3.6, eq. 4 to 12: positions and self-attention blocks for items and
    for features apart, the last states side by side through a linear layer. Differs, as RecBole does: the layers are
    SASRec's (see `SASRecEncoder`), and dropout and LayerNorm follow the linear layer. RecBole has them in the other
    order, and one table of positions for both streams.

    Args:
        features: Of all items.
        num_items: `N`.
        config: Sizes.
    """

    def __init__(self, features: ItemFeatures, num_items: int, config: FDSAConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.items = TransformerEncoder(num_items, causal=True, **config.sizes)
        self.features = features
        self.feature_layers = TransformerEncoder(0, causal=True, **config.sizes)
        self.merge = nn.Linear(2 * width, width)
        self.merge_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.apply(initialise)

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]` of items that are padded on the right; each depends on the items up to it only."""
        items_M, place_BL = torch.unique(items_BL, return_inverse=True)
        by_item_BLD = self.items.through_layers(self.items.item_embedding(items_BL), None)
        by_feature_BLD = self.feature_layers.through_layers(self.features(items_M)[place_BL], None)
        states_BLD: Tensor = self.merge_norm(self.dropout(self.merge(torch.cat([by_item_BLD, by_feature_BLD], dim=-1))))
        return states_BLD

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.items.max_length)
        refuse_empty(offsets, "FDSA")
        items_BL, lengths_B = self.items.padded(items, offsets)
        return at_last_places(self(items_BL), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the item table (eq. 13)."""
        return states_BD @ self.items.item_embedding.weight.T


class FDSAModel(NextItemModel):
    """FDSA with full softmax cross-entropy at all places, as our SASRec, where the paper samples one negative.

    Args:
        config: Sizes, window lengths and batch size, and what is read of items.
        data: Whose training sequences and items.
    """

    def __init__(self, config: FDSAConfig, data: SearchData) -> None:
        columns = [data.attributes[name] for name in config.attributes or sorted(data.attributes)]
        words_NKT, count = number_words(columns, config.max_words, config.min_items)
        features = ItemFeatures(words_NKT, count, config.hidden_size)
        super().__init__(FDSAEncoder(features, data.num_items, config), data, config)
