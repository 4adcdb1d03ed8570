"""SASRec: a causal Transformer over item ids, with the sizes and the layer order of RecBole.

Shape letters: `B` histories, `L` places of a history, `D` width, `N` items.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trials.backbones.histories import at_last_places, latest, pad_right, refuse_empty
from trials.backbones.masks import LayerMasks
from trials.backbones.transformer import LAYER_NORM_EPS, TransformerLayer, initialise
from trials.data.dataset import Queries


class SASRecEncoder(nn.Module):
    """Turns histories into states, whose inner products with the item table are scores.

    Source: Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, section III. Differs, as
    RecBole does: LayerNorm stands after each residual sum and not before each block, the feed-forward part has
    an inner width of its own and GELU, and the embeddings are normalised and not scaled by sqrt(D).

    Args:
        num_items: `N`.
        max_length: Longest history, >= 1.
        num_layers: Transformer layers, >= 0.
        num_heads: Heads; divides `hidden_size`.
        hidden_size: `D`.
        inner_size: Width within the feed-forward part.
        dropout: Of embeddings, attention weights and each block's output, in [0, 1).
    """

    def __init__(
        self,
        num_items: int,
        *,
        max_length: int,
        num_layers: int,
        num_heads: int,
        hidden_size: int,
        inner_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items, hidden_size)
        self.position_embedding = nn.Embedding(max_length, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(SASRecLayer(hidden_size, num_heads, inner_size, dropout) for _ in range(num_layers))
        self.apply(initialise)

    def forward(self, items_BL: Tensor, masks: Sequence[LayerMasks | None] | None = None) -> Tensor:
        """States `[B, L, D]`; the state at a place depends on the items up to it only.

        Args:
            items_BL: Item indices, oldest first, padded on the right; `L <= max_length`.
            masks: One for each layer, None for a layer that is used as it is.
        """
        positions_L = torch.arange(items_BL.shape[1], device=items_BL.device)
        states_BLD = self.item_embedding(items_BL) + self.position_embedding(positions_L)
        states_BLD = self.dropout(self.norm(states_BLD))
        for layer, layer_masks in zip(self.layers, masks or [None] * len(self.layers), strict=True):
            states_BLD = layer(states_BLD, layer_masks)
        result: Tensor = states_BLD
        return result

    def states(self, queries: Queries) -> tuple[Tensor, Tensor]:
        """The states `[B, L, D]` of the latest `max_length` items of each history, and how many they are, `[B]`."""
        items, offsets = latest(queries, self.max_length)
        items_BL, lengths_B = (tensor.to(self.item_embedding.weight.device) for tensor in pad_right(items, offsets))
        return self(items_BL), lengths_B

    def encode(self, queries: Queries, masks: Sequence[LayerMasks | None] | None = None) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Args:
            masks: As `forward`.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.max_length)
        refuse_empty(offsets, "SASRec")
        items_BL, lengths_B = (tensor.to(self.item_embedding.weight.device) for tensor in pad_right(items, offsets))
        return at_last_places(self(items_BL, masks), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the table that the inputs came from."""
        return states_BD @ self.item_embedding.weight.T


class SASRecLayer(TransformerLayer):
    """A causal Transformer layer."""

    def __init__(self, hidden_size: int, num_heads: int, inner_size: int, dropout: float) -> None:
        super().__init__(hidden_size, num_heads, inner_size, dropout, causal=True)
