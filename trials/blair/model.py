"""The recommender over BLaIR's vectors of items.

Shape letters: `B` windows or queries, `L` places, `D` width, `N` items, `W` width of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.encoders.request_encoder import distinct
from trials.backbones.recommenders.adaptor import Adaptor
from trials.backbones.recommenders.histories import at_last_places, latest, pad_right, refuse_empty
from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.transformer import INITIAL_STD, TransformerEncoder, initialise
from trials.blair.config import BLaIRConfig
from trials.blair.tuning import TunableEncoder
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.recommender import Losses


class AdaptedEncoder(nn.Module):
    """UniSRec's causal self-attention over adapted texts, whose cosines with the items' vectors are scores.

    Source: Hou et al., 2024, "sequential recommendation", where UniSRec reads BLaIR's vectors; UniSRec is Hou et al.,
    KDD 2022, eq. 3 to 5, 9 and, with ids, 10. Without pre-training. Differs: the adaptor reads the vectors
    centred and at a unit variance.

    Args:
        texts_NW: Of all items, by the tuned encoder; kept with the weights.
        config: Sizes.
    """

    texts_NW: Tensor

    def __init__(self, texts_NW: Tensor, config: BLaIRConfig) -> None:
        super().__init__()
        self.register_buffer("texts_NW", texts_NW)
        self.adaptor = Adaptor(texts_NW.shape[1], config.hidden_size, config.experts, config.adaptor_dropout)
        self.layers = TransformerEncoder(0, causal=True, **config.sizes)
        self.layers.apply(initialise)
        self.item_embedding = nn.Embedding(len(texts_NW), config.hidden_size) if config.item_ids else None
        if self.item_embedding is not None:
            nn.init.normal_(self.item_embedding.weight, std=INITIAL_STD)
        self._temperature = config.temperature
        self._table_ND: Tensor | None = None
        self._is_fixed = False

    def fix(self, fixed: bool) -> None:
        """Adapt all items' texts once, until they are not fixed any more."""
        self._table_ND = self.table() if fixed else None
        self._is_fixed = fixed

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]` of items that are padded on the right; none sees the next."""
        if not self._is_fixed or self._table_ND is None:
            self._table_ND = self.table()
        return self.layers.through_layers(self._table_ND[items_BL], None)

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.layers.max_length)
        refuse_empty(offsets, "BLaIR")
        items_BL, lengths_B = self.layers.padded(items, offsets)
        return at_last_places(self(items_BL), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: cosines with the items that the states were made of, over τ."""
        assert self._table_ND is not None
        return F.normalize(states_BD, dim=-1) @ F.normalize(self._table_ND, dim=-1).T / self._temperature

    def table(self) -> Tensor:
        """Vectors `[N, D]` of all items."""
        # Vectors of one encoder point almost the same way. Without what they share, and at a unit variance, whitenings
        # begin with what tells items apart, whatever the encoder.
        apart_NW = self.texts_NW - self.texts_NW.mean(0)
        table_ND: Tensor = self.adaptor(apart_NW / apart_NW.square().mean().sqrt().clamp(min=1e-9))
        return table_ND if self.item_embedding is None else table_ND + self.item_embedding.weight


class BLaIRModel(NextItemModel):
    """BLaIR's vectors under UniSRec, and beside it in answers where requests count.

    Source: CRAMER, appendix B.7: `γ cos(v_q, v_i) + (1 - γ) f(s_u, i)` with the tuned encoder's vectors of request and
    item. Differs: f is the recommender's cosine, and all is divided by the recommender's τ, so that both parts have one
    scale; the recommender is UniSRec and not a frozen one by ids. Where nobody asks, the latest items do, by the mean
    of their vectors.

    Args:
        config: Sizes, window lengths and batch size.
        data: Whose training sequences.
        texts_NW: Of all items, by the tuned encoder, of unit length.
        tuned: What was tuned, which travels with the weights; empty where no requests are read.
        reader: Makes a tunable encoder, which is given `tuned`; None where no requests are read.
    """

    encoder: AdaptedEncoder

    def __init__(
        self,
        config: BLaIRConfig,
        data: SearchData,
        texts_NW: Tensor,
        tuned: Mapping[str, Tensor],
        reader: Callable[[], TunableEncoder] | None,
    ) -> None:
        super().__init__(AdaptedEncoder(texts_NW, config), data, config)
        self._config = config
        self._tuned = {name: f"tuned-{name.replace('.', '-')}" for name in tuned}
        for name, tensor in tuned.items():
            self.register_buffer(self._tuned[name], tensor)
        self._make_reader = reader
        # In a tuple, so that it is none of this model's modules: what is tuned of it is among the buffers.
        self._reader: tuple[TunableEncoder] | None = None
        self._vectors: dict[str, Tensor] = {}

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Queries]:
        """As SASRec's."""
        self.encoder.fix(False)
        return super().batches(epoch, rng)

    def loss(self, batch: Queries) -> Losses:
        """As SASRec's."""
        # The gates' noise is drawn once a step: the items that are read are those that are told apart.
        self.encoder.fix(True)
        losses = super().loss(batch)
        self.encoder.fix(False)
        return losses

    def start_evaluation(self) -> None:
        """Adapt all items' texts once."""
        self.encoder.fix(True)

    def scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of what follows each history, and answers each request where requests count.

        Raises:
            ValueError: If a history is empty.
        """
        followed_BN = super().scores(queries)
        weight = self._config.request_weight
        if not weight:
            return followed_BN
        asked_BN = F.normalize(self._asked(queries), dim=-1) @ self.encoder.texts_NW.T
        return weight / self._config.temperature * asked_BN + (1 - weight) * followed_BN

    def _asked(self, queries: Queries) -> Tensor:
        """What each query asks, `[B, W]`."""
        texts_NW = self.encoder.texts_NW
        items, offsets = latest(queries, self._config.request_items)
        items_BL, lengths_B = (tensor.to(texts_NW.device) for tensor in pad_right(items, offsets))
        read_BL = torch.arange(items_BL.shape[1], device=texts_NW.device) < lengths_B[:, None]
        made_BW = (texts_NW[items_BL] * read_BL[..., None]).sum(1) / lengths_B[:, None]
        if queries.requests is None:
            return made_BW
        texts, rows_B = distinct(queries.requests)
        if not texts:
            return made_BW
        rows = torch.from_numpy(rows_B).to(texts_NW.device)
        own_BW = self._read(texts).to(texts_NW.device)[rows.clamp(min=0)]
        return torch.where((rows < 0)[:, None], made_BW, own_BW)

    def _read(self, texts: list[str]) -> Tensor:
        """Vectors of requests; those of a trial's validation are read once and not every epoch."""
        if self._reader is None:
            assert self._make_reader is not None
            made = self._make_reader()
            made.load({name: getattr(self, buffer) for name, buffer in self._tuned.items()})
            self._reader = (made,)
        new = [text for text in texts if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._reader[0].read(new), strict=True))
        return torch.stack([self._vectors[text] for text in texts])
