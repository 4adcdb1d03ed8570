"""CL4SRec as a recommender: SASRec's loss on windows, and InfoNCE between two distorted copies of each.

Shape letters: `B` windows of a batch, `L` places, `D` width, `A` anchors: the windows whose views are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.histories import at_last_places, pad_right
from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.backbones.recommenders.transformer import INITIAL_STD
from trials.cl4srec.augmentations import MASK, operators, two_views
from trials.cl4srec.config import CL4SRecConfig
from trials.data.preparing.dataset import UNKNOWN_USER, Queries, SearchData
from trials.training.recommender import Losses


@dataclass(frozen=True)
class Views:
    """Windows with two views of each.

    Args:
        windows: Whose next items are predicted, `[W]`: all of the batch, or a worker's.
        views: `2 B` rows: the first view of every window of the batch, then the second ones. A masked item is `MASK`.
        anchors: First and stop, in [0, B], of the windows whose views are told from all the others here.
    """

    windows: Queries
    views: Queries
    anchors: tuple[int, int]


class CL4SRecModel(NextItemModel):
    """SASRec trained on next items and on a contrast of views.

    Source: Xie et al., ICDE 2022, section III, eq. 3 and 12. Each view's state is that of its last item (III.B); the
    positives are the two views of one sequence, the negatives the 2 (B - 1) other views of the batch. Differs:
    next items by cross-entropy over all items and at all places, as our SASRec, where the paper samples one negative;
    the contrast is the mean over both directions, so that its weight does not depend on which view is called first;
    and views are of windows, which are the whole sequence if it has at most `max_length + 1` items.

    Args:
        config: Sizes, window lengths, distortions.
        data: Whose training sequences.
    """

    encoder: SASRecEncoder

    def __init__(self, config: CL4SRecConfig, data: SearchData) -> None:
        super().__init__(SASRecEncoder(data.num_items, **config.sizes), data, config)
        self.mask_token = nn.Parameter(torch.empty(config.hidden_size))
        nn.init.normal_(self.mask_token, std=INITIAL_STD)
        self.mask_token.requires_grad_(bool(config.lambda_cl))
        self._config = config
        self._operators = operators(config)

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Views]:  # type: ignore[override]
        """SASRec's batches, with views drawn from the same `rng`."""
        for windows in super().batches(epoch, rng):
            pairs = [
                two_views(items_S.astype(np.int64), rng, self._operators)
                for items_S in np.split(windows.items, windows.offsets[1:-1])
            ]
            rows = [row[-self._config.max_length :] for view in zip(*pairs, strict=True) for row in view]
            offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
            users = np.full(len(rows), UNKNOWN_USER)
            yield Views(windows, Queries(users, np.concatenate(rows), offsets), (0, len(windows)))

    def loss(self, batch: Views) -> Losses:  # type: ignore[override]
        """`next` as SASRec, `contrast` weighted by λ."""
        losses = super().loss(batch.windows)
        if self._config.lambda_cl:
            losses["contrast"] = self._config.lambda_cl * self._contrast(batch)
        return losses

    def share(self, batch: Views, rank: int, workers: int) -> tuple[Views, dict[str, float]]:  # type: ignore[override]
        """Every worker predicts next items of its windows, and tells their views from those of the whole batch."""
        part, weights = super().share(batch.windows, rank, workers)
        first, stop = len(batch.windows) * rank // workers, len(batch.windows) * (rank + 1) // workers
        if self._config.lambda_cl:
            weights["contrast"] = (stop - first) / len(batch.windows)
        return Views(part, batch.views, (first, max(stop, first + 1)) if first < stop else (0, 1)), weights

    def _contrast(self, batch: Views) -> Tensor:
        """Mean of eq. 3 over the anchors' views, each with 2 (B - 1) negatives."""
        states_VD = self._last_states(batch.views)
        if self._config.similarity == "cosine":
            states_VD = F.normalize(states_VD, dim=-1)
        count = len(states_VD) // 2
        first, stop = batch.anchors
        anchors_A = torch.arange(first, stop, device=states_VD.device)
        anchors_A = torch.cat([anchors_A, anchors_A + count])
        similarity_AV = states_VD[anchors_A] @ states_VD.T / self._config.temperature
        itself_AV = F.one_hot(anchors_A, 2 * count).bool()
        positives_A = (anchors_A + count) % (2 * count)
        return F.cross_entropy(similarity_AV.masked_fill(itself_AV, -torch.inf), positives_A)

    def _last_states(self, views: Queries) -> Tensor:
        items_BL, lengths_B = (tensor.to(self.mask_token.device) for tensor in pad_right(views.items, views.offsets))
        masked_BL1 = (items_BL == MASK)[..., None]
        vectors_BLD = self.encoder.item_embedding(items_BL.clamp(min=0))
        vectors_BLD = torch.where(masked_BL1, self.mask_token, vectors_BLD)
        return at_last_places(self.encoder.through_layers(vectors_BLD, None), lengths_B)
