"""The Transformer that SASRec and BERT4Rec share, with the layer order and the starting weights of RecBole.

Shape letters: `B` histories, `L` places of a history, `D` width, `I` inner width, `H` heads, `C` channels of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.histories import pad_right
from trials.backbones.recommenders.masks import NO_MASKS, LayerMasks, gated_linear
from trials.backbones.recommenders.settings import Sizes
from trials.data.preparing.dataset import IntArray

LAYER_NORM_EPS = 1e-12
INITIAL_STD = 0.02


class TransformerLayer(nn.Module):
    """Self-attention, then a feed-forward part with GELU, each with dropout, residual sum and LayerNorm.

    Args:
        hidden_size: `D`.
        num_heads: `H`; divides D.
        inner_size: `I`.
        dropout: Of attention weights and of both parts' outputs, in [0, 1).
        causal: Whether a place sees only itself and what is before it.
    """

    def __init__(self, hidden_size: int, num_heads: int, inner_size: int, dropout: float, *, causal: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_dropout = dropout
        self.causal = causal
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.inner = nn.Linear(hidden_size, inner_size)
        self.outer = nn.Linear(inner_size, hidden_size)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        states_BLD: Tensor,
        masks: LayerMasks | None = None,
        *,
        visible_BL: Tensor | None = None,
        sees_BLL: Tensor | None = None,
    ) -> Tensor:
        """The next layer's states `[B, L, D]`.

        Args:
            masks: Gates over `output`, `inner` and `outer`.
            visible_BL: True at the places that may be looked at, at least one a history; for a layer that is not
                causal, whose places look to the right as well, where the padding is. None if there is no padding.
            sees_BLL: In place of both, True where the place of a row looks at the place of a column, at least at one;
                `[1, L, L]` where all histories are alike. For a layer that is not causal.
        """
        masks = masks or NO_MASKS
        seen = sees_BLL[:, None] if sees_BLL is not None else None
        if visible_BL is not None:
            seen = visible_BL[:, None, None, :]
        return self.fed(self.attended(states_BLD, masks, seen), masks)

    def attended(self, states_BLD: Tensor, masks: LayerMasks, seen: Tensor | None) -> Tensor:
        """The states `[B, L, D]` behind self-attention; `seen` spreads to `[B, H, L, L]`, None without padding."""
        attended_BHLC = F.scaled_dot_product_attention(
            self._heads(self.query(states_BLD)),
            self._heads(self.key(states_BLD)),
            self._heads(self.value(states_BLD)),
            attn_mask=seen,
            is_causal=self.causal,
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        attended_BLD = gated_linear(self.output, attended_BHLC.transpose(1, 2).flatten(2), masks.output)
        normed_BLD: Tensor = self.attention_norm(states_BLD + self.dropout(attended_BLD))
        return normed_BLD

    def fed(self, states_BLD: Tensor, masks: LayerMasks) -> Tensor:
        """The states `[B, L, D]` behind the feed-forward part."""
        inner_BLI = F.gelu(gated_linear(self.inner, states_BLD, masks.inner))
        fed_BLD = gated_linear(self.outer, inner_BLI, masks.outer)
        result: Tensor = self.feed_forward_norm(states_BLD + self.dropout(fed_BLD))
        return result

    def _heads(self, x_BLD: Tensor) -> Tensor:
        batch, length, width = x_BLD.shape
        return x_BLD.view(batch, length, self.num_heads, width // self.num_heads).transpose(1, 2)


class TransformerEncoder(nn.Module):
    """Vectors of items and of places, and the layers over their sums.

    A model adds what is its own, then starts all weights by `initialise`.

    Args:
        num_items: `N`; 0 for vectors that come from elsewhere, which need no table.
        causal: As of the layers.
        sizes: `max_length`, the longest history; `num_layers`, >= 0; `num_heads`, which divides `hidden_size`, `D`;
            `inner_size`, the width within the feed-forward part; `dropout` of embeddings, attention weights and each
            block's output, in [0, 1).
    """

    def __init__(self, num_items: int, *, causal: bool, **sizes: Unpack[Sizes]) -> None:
        super().__init__()
        width, dropout = sizes["hidden_size"], sizes["dropout"]
        self.max_length = sizes["max_length"]
        if num_items:
            self.item_embedding = nn.Embedding(num_items, width)
        self.position_embedding = nn.Embedding(self.max_length, width)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(width, sizes["num_heads"], sizes["inner_size"], dropout, causal=causal)
            for _ in range(sizes["num_layers"])
        )

    def through_layers(
        self, vectors_BLD: Tensor, masks: Sequence[LayerMasks | None] | None, visible_BL: Tensor | None = None
    ) -> Tensor:
        """The last layer's states `[B, L, D]` of items' vectors.

        Args:
            vectors_BLD: Oldest first.
            masks: One for each layer, None for a layer that is used as it is.
            visible_BL: As of a layer.
        """
        places_L = torch.arange(vectors_BLD.shape[1], device=vectors_BLD.device)
        states_BLD: Tensor = self.dropout(self.norm(vectors_BLD + self.position_embedding(places_L)))
        for layer, layer_masks in zip(self.layers, masks or [None] * len(self.layers), strict=True):
            states_BLD = layer(states_BLD, layer_masks, visible_BL=visible_BL)
        return states_BLD

    def padded(self, items: IntArray, offsets: IntArray) -> tuple[Tensor, Tensor]:
        """`pad_right`, on the device of the weights."""
        items_BL, lengths_B = pad_right(items, offsets)
        device = self.position_embedding.weight.device
        return items_BL.to(device), lengths_B.to(device)


@torch.no_grad()
def open_units(layers: nn.ModuleList, spread: float) -> None:
    """Start feed-forward parts so that every inner unit is open whatever comes in, and adds a direction of its own.

    As RecBole starts and trains them, attention and feed-forward parts add about a tenth and a quarter of a state's
    length, and most inner units are near 0, so that masks hardly move what they mask. With a bias of 1 a unit is about
    0.84 at first, and W_2's columns are as long as `spread * sqrt(D)`; the sum of all is taken off the bias of W_2, so
    that at first the part adds next to nothing, as ever. The architecture stays as it is.

    Args:
        layers: `TransformerLayer`s.
        spread: Standard deviation of W_2.
    """
    for layer in layers:
        assert isinstance(layer, TransformerLayer)
        nn.init.normal_(layer.outer.weight, std=spread)
        nn.init.ones_(layer.inner.bias)
        layer.outer.bias.copy_(-layer.outer.weight @ F.gelu(layer.inner.bias))


def initialise(module: nn.Module) -> None:
    """As RecBole: normal weights, zero biases; a LayerNorm starts as torch makes it."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=INITIAL_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
