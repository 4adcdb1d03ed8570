"""BERT4Rec: a Transformer that looks both ways over item ids, some of which are hidden from it.

Shape letters: `B` histories, `L` places of a history, `D` width, `N` items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.histories import at_last_places, latest
from trials.backbones.recommenders.masks import LayerMasks
from trials.backbones.recommenders.settings import Sizes
from trials.backbones.recommenders.transformer import INITIAL_STD, LAYER_NORM_EPS, TransformerEncoder, initialise
from trials.data.preparing.dataset import Queries


class BERT4RecEncoder(TransformerEncoder):
    """Turns histories with hidden places into states, whose inner products with the item table are scores.

    Source: Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from
    Transformer, CIKM 2019, sections 3.2 to 3.5 (eq. 7: the state through a linear map and GELU, then the item table
    and a bias an item). As RecBole: a LayerNorm on the embeddings and one after the head's GELU.
    Differs from RecBole: the mask token is a vector of its own and no row of the item table, so that items are rows
    0 to N-1; padding is hidden from the attention by the history's length and not by an item's number; and before a
    mask token is appended the oldest item makes way only if the history is full, not always.

    Args:
        num_items: `N`.
        sizes: As of `TransformerEncoder`; the longest history, with the appended mask token, is >= 2.
    """

    def __init__(self, num_items: int, **sizes: Unpack[Sizes]) -> None:
        super().__init__(num_items, causal=False, **sizes)
        width = sizes["hidden_size"]
        self.mask_token = nn.Parameter(torch.empty(width))
        self.head = nn.Linear(width, width)
        self.head_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.item_bias = nn.Parameter(torch.zeros(num_items))
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=INITIAL_STD)

    def forward(
        self,
        items_BL: Tensor,
        lengths_B: Tensor,
        hidden_BL: Tensor | None = None,
        masks: Sequence[LayerMasks | None] | None = None,
    ) -> Tensor:
        """States `[B, L, D]` of the last layer; each depends on all real places of its own history.

        Args:
            items_BL: Item indices, oldest first, padded on the right; `L <= max_length`.
            lengths_B: Real places of each row, >= 1; the others are not looked at, and their states mean nothing.
            hidden_BL: True where the mask token stands in place of the item; None for nowhere.
            masks: One for each layer, None for a layer that is used as it is.
        """
        vectors_BLD = self.item_embedding(items_BL)
        if hidden_BL is not None:
            vectors_BLD = torch.where(hidden_BL[..., None], self.mask_token, vectors_BLD)
        visible_BL = torch.arange(items_BL.shape[1], device=items_BL.device) < lengths_B[:, None]
        return self.through_layers(vectors_BLD, masks, visible_BL)

    def predict(self, states_PD: Tensor) -> Tensor:
        """What `item_scores` takes, `[P, D]`, of the last layer's states at hidden places."""
        predicted_PD: Tensor = self.head_norm(F.gelu(self.head(states_PD)))
        return predicted_PD

    def states(self, queries: Queries) -> tuple[Tensor, Tensor]:
        """The last layer's states `[B, L, D]` of the latest `max_length` items, nothing hidden, and their number `[B]`.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.max_length)
        if len(queries) and np.diff(offsets).min() < 1:
            raise ValueError("an empty history has no states; leave such queries out")
        items_BL, lengths_B = self.padded(items, offsets)
        return self(items_BL, lengths_B), lengths_B

    def encode(self, queries: Queries, masks: Sequence[LayerMasks | None] | None = None) -> Tensor:
        """The states `[B, D]` that score what follows each history: those of a mask token appended to it.

        The latest `max_length - 1` items are read. A history may be empty.

        Args:
            masks: As `forward`.
        """
        items, offsets = latest(queries, self.max_length - 1)
        with_token = np.insert(items, offsets[1:], 0)  # any item: its vector is replaced by the token
        items_BL, lengths_B = self.padded(with_token, offsets + np.arange(len(offsets)))
        hidden_BL = torch.arange(items_BL.shape[1], device=items_BL.device) == lengths_B[:, None] - 1
        return self.predict(at_last_places(self(items_BL, lengths_B, hidden_BL, masks), lengths_B))

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the item table, and each item's bias."""
        return states_BD @ self.item_embedding.weight.T + self.item_bias
