"""SASRec: a causal Transformer over item ids, with the sizes and the layer order of RecBole.

Shape letters: `B` histories, `L` places of a history, `D` width, `H` heads, `C` channels of a head, `N` items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.masks import NO_MASKS, LayerMasks, gated_linear
from trials.data.dataset import Queries

LAYER_NORM_EPS = 1e-12
INITIAL_STD = 0.02


def pad_right(items: NDArray[np.integer[Any]], offsets: NDArray[np.integer[Any]]) -> tuple[Tensor, Tensor]:
    """Lay ragged rows out as `[B, L]`, where L is the longest row; return it and the lengths `[B]`.

    Padding stands on the right and holds item 0. Under a causal mask no real place looks to its right, so
    padding needs no mask and no row of the item table, and the oldest item always has position 0: a history's
    states are the same whatever it is batched with. (RecBole pads on the right too; the authors' code on the left.)
    """
    lengths = np.diff(offsets)
    valid = np.arange(lengths.max(initial=0)) < lengths[:, None]
    padded = np.zeros(valid.shape, dtype=np.int64)
    padded[valid] = items
    return torch.from_numpy(padded), torch.from_numpy(lengths.astype(np.int64))


def latest(queries: Queries, count: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """The latest `count` items of every history: all of them one after the other, and their offsets `[B + 1]`."""
    lengths = np.diff(queries.offsets)
    recent = np.minimum(lengths, count)
    kept = np.arange(len(queries.items)) >= np.repeat(queries.offsets[1:] - recent, lengths)
    return queries.items[kept], np.concatenate([[0], np.cumsum(recent)])


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
        self.apply(_initialise)

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

    def encode(self, queries: Queries, masks: Sequence[LayerMasks | None] | None = None) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.max_length)
        if len(queries) and np.diff(offsets).min() < 1:
            raise ValueError("SASRec scores what follows an item, but a history is empty; leave such queries out")
        items_BL, lengths_B = (tensor.to(self.item_embedding.weight.device) for tensor in pad_right(items, offsets))
        states_BLD = self(items_BL, masks)
        last_BD: Tensor = states_BLD[torch.arange(len(lengths_B), device=lengths_B.device), lengths_B - 1]
        return last_BD

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the table that the inputs came from."""
        return states_BD @ self.item_embedding.weight.T


class SASRecLayer(nn.Module):
    """Causal self-attention, then a feed-forward part, each with dropout, residual sum and LayerNorm."""

    def __init__(self, hidden_size: int, num_heads: int, inner_size: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_dropout = dropout
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.inner = nn.Linear(hidden_size, inner_size)
        self.outer = nn.Linear(inner_size, hidden_size)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states_BLD: Tensor, masks: LayerMasks | None = None) -> Tensor:
        """The next layer's states `[B, L, D]`.

        Args:
            masks: Gates over `output`, `inner` and `outer`.
        """
        masks = masks or NO_MASKS
        attended_BHLC = F.scaled_dot_product_attention(
            self._heads(self.query(states_BLD)),
            self._heads(self.key(states_BLD)),
            self._heads(self.value(states_BLD)),
            is_causal=True,
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        attended_BLD = gated_linear(self.output, attended_BHLC.transpose(1, 2).flatten(2), masks.output)
        states_BLD = self.attention_norm(states_BLD + self.dropout(attended_BLD))
        inner_BLI = F.gelu(gated_linear(self.inner, states_BLD, masks.inner))
        fed_BLD = gated_linear(self.outer, inner_BLI, masks.outer)
        result: Tensor = self.feed_forward_norm(states_BLD + self.dropout(fed_BLD))
        return result

    def _heads(self, x_BLD: Tensor) -> Tensor:
        batch, length, width = x_BLD.shape
        return x_BLD.view(batch, length, self.num_heads, width // self.num_heads).transpose(1, 2)


def _initialise(module: nn.Module) -> None:
    """As RecBole: normal weights, zero biases; a LayerNorm starts as torch makes it."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=INITIAL_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
