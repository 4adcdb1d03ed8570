"""LLM-ESR as a recommender.

Shape letters: `B` windows or queries, `L` places, `D` width of a view, `N` items, `W` width of texts, `K` teachers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.histories import at_last_places, latest, refuse_empty
from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.transformer import INITIAL_STD, TransformerEncoder, initialise
from trials.data.preparing.dataset import Queries, SearchData
from trials.llmesr.config import LLMESRConfig
from trials.llmesr.similar_users import similar_users
from trials.training.recommender import Losses
from trials.training.rows.windows import rows_of


class CrossAttention(nn.Module):
    """One view of a sequence asks the other, place by place, about the places up to it.

    Source: Liu et al., NeurIPS 2024, section 3.3, eq. 3. Differs: causal, since all places are trained on and not the
    last alone, which the paper's attention to the whole sequence would tell its targets; before positions are added, so
    that it hears what came before and not in which order.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, asking_BLD: Tensor, asked_BLD: Tensor) -> Tensor:
        """What is heard, `[B, L, D]`."""
        query, key, value = (
            layer(x).view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)
            for layer, x in ((self.query, asking_BLD), (self.key, asked_BLD), (self.value, asked_BLD))
        )
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


class DualViewEncoder(nn.Module):
    """Turns histories into two states side by side, whose inner products with both vectors of items are scores.

    Source: sections 3.2 and 3.3. The semantic view is a frozen text vector through two linear layers, the collaborative
    one a vector that begins at the text's first principal components; one Transformer reads both. Differs: the layers
    are SASRec's as RecBole has them, the components are scaled to a spread of 0.02, as other item tables begin, and
    what a view hears of the other is added to it, where the authors' code puts it in its place.

    Args:
        texts_NW: Of all items.
        config: Sizes.
    """

    texts_NW: Tensor

    def __init__(self, texts_NW: Tensor, config: LLMESRConfig) -> None:
        super().__init__()
        width, text_width = config.hidden_size, texts_NW.shape[1]
        self.register_buffer("texts_NW", texts_NW, persistent=False)
        self.adapter = nn.Sequential(nn.Linear(text_width, text_width // 2), nn.Linear(text_width // 2, width))
        self.item_embedding = nn.Embedding(len(texts_NW), width)
        self.layers = TransformerEncoder(0, causal=True, **config.sizes)
        self.crosses = nn.ModuleList(
            CrossAttention(width, config.num_heads) for _ in range(2 if config.cross_attention else 0)
        )
        self.layers.apply(initialise)
        self.crosses.apply(initialise)
        with torch.no_grad():
            self.item_embedding.weight.copy_(first_components(texts_NW, width))

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, 2 D]`, semantic first, of items that are padded on the right; none sees the next."""
        semantic, collaborative = self.adapter(self.texts_NW[items_BL]), self.item_embedding(items_BL)
        if self.crosses:
            asks_ids, asks_texts = self.crosses
            semantic, collaborative = (
                semantic + asks_ids(semantic, collaborative),
                collaborative + asks_texts(collaborative, semantic),
            )
        views = [self.layers.through_layers(view_BLD, None) for view_BLD in (semantic, collaborative)]
        return torch.cat(views, dim=-1)

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, 2 D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.layers.max_length)
        refuse_empty(offsets, "LLM-ESR")
        items_BL, lengths_B = self.layers.padded(items, offsets)
        return at_last_places(self(items_BL), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]` (eq. 4)."""
        vectors_ND = torch.cat([self.adapter(self.texts_NW), self.item_embedding.weight], dim=-1)
        return states_BD @ vectors_ND.T


@dataclass(frozen=True)
class Taught:
    """Windows, and the histories of the users who teach theirs.

    Args:
        windows: `[B]`.
        teachers: `B K` histories, those of a window one after the other; none without distillation.
    """

    windows: Queries
    teachers: Queries | None


class LLMESRModel(NextItemModel):
    """LLM-ESR with full softmax cross-entropy at all places, and self-distillation at the last one of a window.

    Source: section 3.4, eq. 5 and 6: the squared distance to the mean state of similar users, who get no gradient.
    Differs: next items as our SASRec, where the paper samples one negative; of a user with several windows each has the
    teachers' whole histories.

    Args:
        config: Sizes, window lengths and batch size, distillation.
        data: Whose training sequences.
        texts: `[N, W]` of all items.
    """

    encoder: DualViewEncoder

    def __init__(self, config: LLMESRConfig, data: SearchData, texts: NDArray[Any]) -> None:
        texts_NW = torch.from_numpy(texts)
        super().__init__(DualViewEncoder(texts_NW, config), data, config)
        self._weight = config.lambda_distill if (np.diff(data.train_offsets) > 0).sum() > 1 else 0.0
        if self._weight:
            self._similar_UK = similar_users(data, texts_NW, config.similar_users)
            self._histories = Queries(np.arange(data.num_users), self._items, np.asarray(data.train_offsets))
            self._starts_U = np.asarray(data.train_offsets)[:-1]

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Taught]:  # type: ignore[override]
        """Windows in a new order, `batch_size` at a time, with their users' teachers."""
        order = rng.permutation(len(self._windows_W2))
        for start in range(0, len(order), self._batch_size):
            chosen_W2 = self._windows_W2[order[start : start + self._batch_size]]
            yield Taught(rows_of(self._items, chosen_W2), self._teachers(chosen_W2))

    def loss(self, batch: Taught) -> Losses:  # type: ignore[override]
        """`next` as SASRec; `distill` weighted by α."""
        losses = super().loss(batch.windows)
        if batch.teachers is not None:
            with torch.no_grad():
                states_TD = self.states(batch.teachers)
                taught_BKD = states_TD.view(len(batch.windows), -1, states_TD.shape[-1])
            states_BD = self.states(_without_targets(batch.windows))
            losses["distill"] = self._weight * F.mse_loss(states_BD, taught_BKD.mean(1))
        return losses

    def share(self, batch: Taught, rank: int, workers: int) -> tuple[Taught, dict[str, float]]:  # type: ignore[override]
        """Every worker takes a run of windows with their teachers."""
        part, weights = super().share(batch.windows, rank, workers)
        if batch.teachers is None:
            return Taught(part, None), weights
        count, each = len(batch.windows), len(batch.teachers) // len(batch.windows)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        weights["distill"] = (stop - first) / count
        first, stop = (first, stop) if first < stop else (0, 1)
        return Taught(part, batch.teachers.rows(first * each, stop * each)), weights

    def _teachers(self, windows_B2: NDArray[np.int64]) -> Queries | None:
        if not self._weight:
            return None
        users_B = np.searchsorted(self._starts_U, windows_B2[:, 0], side="right") - 1
        return self._histories.of(self._similar_UK[users_B].reshape(-1))


def first_components(texts_NW: Tensor, width: int) -> Tensor:
    """`[N, D]` the texts' first principal components, scaled to a spread of 0.02; beyond their number, noise of it."""
    centred_NW = texts_NW - texts_NW.mean(0)
    _, axes_WW = torch.linalg.eigh(centred_NW.T @ centred_NW)
    components_ND = centred_NW @ axes_WW.flip(1)[:, :width]
    components_ND = INITIAL_STD * components_ND / components_ND.std().clamp(min=1e-12)
    missing = width - components_ND.shape[1]
    return torch.cat([components_ND, INITIAL_STD * torch.randn(len(texts_NW), missing)], dim=1)


def _without_targets(windows: Queries) -> Queries:
    """Windows but for their last items, which nothing that follows is asked of."""
    kept = np.ones(len(windows.items), dtype=bool)
    kept[windows.offsets[1:] - 1] = False
    return Queries(windows.users_B, windows.items[kept], windows.offsets - np.arange(len(windows.offsets)))
