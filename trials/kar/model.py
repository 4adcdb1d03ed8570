"""KAR as a recommender: SASRec's training, over an encoder whose users and items have what is known of them besides.

Shape letters: `B` histories, `L` places, `D` width, `N` items, `W` width of texts, `M` different items of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trials.backbones.recommenders.histories import at_last_places, latest, refuse_empty
from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.transformer import TransformerEncoder, initialise
from trials.data.preparing.dataset import Queries, SearchData
from trials.kar.adaptor import HybridExpertAdaptor
from trials.kar.config import KARConfig

PREFERENCE, FACTUAL = "preference", "factual"


class KAREncoder(nn.Module):
    """Turns histories into augmented states, whose inner products with augmented item vectors are scores.

    Source: Xi et al., RecSys 2024: "knowledge reasoning and generation" makes texts; "knowledge adaptation" encodes and
    averages them, and an adaptor condenses that; by "knowledge utilization" it joins the features of any recommender f.
    Differs: f is SASRec, not a network for clicks; a further feature joins the sum of others through a linear layer,
    `v = e + A r̂_item` and `s = SASRec(v_1 .. v_l) + B r̂_user`.

    No language model has generated a word here, as one good enough cannot be had: an item's factual knowledge is its
    own sentence, attribute by attribute, by a pretrained encoder, and says nothing that the data does not. Whoever has
    generated texts gives them as a column of the data, which makes them part of the sentences. A user's preference
    knowledge would be a text about the history: here it is the mean of its items' vectors, which is what averaging over
    a text that recites them comes to, place by place, so that no place knows of later ones.

    Args:
        texts_NW: Of all items; centred, so that the adaptor begins with what tells them apart.
        config: Sizes.
    """

    texts_NW: Tensor

    def __init__(self, texts_NW: Tensor, config: KARConfig) -> None:
        super().__init__()
        self.register_buffer("texts_NW", texts_NW - texts_NW.mean(0), persistent=False)
        self.backbone = TransformerEncoder(len(texts_NW), causal=True, **config.sizes)
        self.backbone.apply(initialise)
        joined = [
            kind for kind, there in ((PREFERENCE, config.user_knowledge), (FACTUAL, config.item_knowledge)) if there
        ]
        self.adaptor = HybridExpertAdaptor(
            joined,
            texts_NW.shape[1],
            config.shared_experts,
            config.own_experts,
            config.expert_width,
            config.knowledge_width,
            config.adaptor_dropout,
        )
        self.joins = nn.ModuleDict({kind: nn.Linear(config.knowledge_width, config.hidden_size) for kind in joined})

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]` of items that are padded on the right; each depends on the items up to it only."""
        states_BLD = self._by_items(items_BL)
        if PREFERENCE not in self.joins:
            return states_BLD
        return states_BLD + self._augmented(self.preferences(items_BL).flatten(0, 1), PREFERENCE).view_as(states_BLD)

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.backbone.max_length)
        refuse_empty(offsets, "KAR")
        items_BL, lengths_B = self.backbone.padded(items, offsets)
        states_BD = at_last_places(self._by_items(items_BL), lengths_B)
        if PREFERENCE not in self.joins:
            return states_BD
        return states_BD + self._augmented(at_last_places(self.preferences(items_BL), lengths_B), PREFERENCE)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the vectors that the inputs came from."""
        return states_BD @ self.item_vectors(None).T

    def item_vectors(self, items_M: Tensor | None) -> Tensor:
        """Augmented vectors `[M, D]` of some items, None for all."""
        ids_ND = self.backbone.item_embedding.weight
        ids_MD, texts_MW = (ids_ND, self.texts_NW) if items_M is None else (ids_ND[items_M], self.texts_NW[items_M])
        return ids_MD + self._augmented(texts_MW, FACTUAL) if FACTUAL in self.joins else ids_MD

    def preferences(self, items_BL: Tensor) -> Tensor:
        """The knowledge of each user at each place, `[B, L, W]`: the mean of the items' vectors up to it."""
        sums_BLW = self.texts_NW[items_BL].cumsum(dim=1)
        counts_L1 = torch.arange(1, items_BL.shape[1] + 1, device=items_BL.device)[:, None]
        means_BLW: Tensor = sums_BLW / counts_L1
        return means_BLW

    def _by_items(self, items_BL: Tensor) -> Tensor:
        """The backbone's states `[B, L, D]` of augmented items."""
        items_M, place_BL = torch.unique(items_BL, return_inverse=True)
        return self.backbone.through_layers(self.item_vectors(items_M)[place_BL], None)

    def _augmented(self, texts_MW: Tensor, kind: str) -> Tensor:
        """`A r̂` or `B r̂`, `[M, D]`."""
        joined_MD: Tensor = self.joins[kind](self.adaptor(texts_MW, kind))
        return joined_MD


class KARModel(NextItemModel):
    """KAR with full softmax cross-entropy at all places, as our SASRec, where the paper predicts clicks.

    Args:
        config: Sizes, window lengths and batch size.
        data: Whose training sequences.
        texts: `[N, W]` of all items.
    """

    encoder: KAREncoder

    def __init__(self, config: KARConfig, data: SearchData, texts: NDArray[Any]) -> None:
        super().__init__(KAREncoder(torch.from_numpy(texts), config), data, config)
        self._vectors_ND: Tensor | None = None

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Queries]:
        """As SASRec."""
        self._vectors_ND = None
        return super().batches(epoch, rng)

    def start_evaluation(self) -> None:
        """Augment all items once."""
        self._vectors_ND = self.encoder.item_vectors(None)

    def scores(self, queries: Queries) -> Tensor:
        """As SASRec."""
        if self._vectors_ND is None:
            return super().scores(queries)
        return self.states(queries) @ self._vectors_ND.T
