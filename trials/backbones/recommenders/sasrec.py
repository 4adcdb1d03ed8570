"""SASRec: a causal Transformer over item ids, with the sizes and the layer order of RecBole.

Shape letters: `B` histories, `L` places of a history, `D` width, `N` items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor

from trials.backbones.recommenders.histories import at_last_places, latest, refuse_empty
from trials.backbones.recommenders.masks import LayerMasks
from trials.backbones.recommenders.settings import Sizes
from trials.backbones.recommenders.transformer import TransformerEncoder, initialise
from trials.data.preparing.dataset import Queries


class SASRecEncoder(TransformerEncoder):
    """Turns histories into states, whose inner products with the item table are scores.

    Source: Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, section III. Differs, as
    RecBole does: LayerNorm stands after each residual sum and not before each block, the feed-forward part has
    an inner width of its own and GELU, and the embeddings are normalised and not scaled by sqrt(D).

    Args:
        num_items: `N`.
        sizes: As of `TransformerEncoder`; the longest history is >= 1.
    """

    def __init__(self, num_items: int, **sizes: Unpack[Sizes]) -> None:
        super().__init__(num_items, causal=True, **sizes)
        self.apply(initialise)

    def forward(self, items_BL: Tensor, masks: Sequence[LayerMasks | None] | None = None) -> Tensor:
        """States `[B, L, D]`; the state at a place depends on the items up to it only.

        Args:
            items_BL: Item indices, oldest first, padded on the right; `L <= max_length`.
            masks: One for each layer, None for a layer that is used as it is.
        """
        return self.through_layers(self.item_embedding(items_BL), masks)

    def states(self, queries: Queries) -> tuple[Tensor, Tensor]:
        """The states `[B, L, D]` of the latest `max_length` items of each history, and how many they are, `[B]`."""
        items_BL, lengths_B = self.padded(*latest(queries, self.max_length))
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
        items_BL, lengths_B = self.padded(items, offsets)
        return at_last_places(self(items_BL, masks), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the table that the inputs came from."""
        return states_BD @ self.item_embedding.weight.T
