"""CF models as recommenders: trained on pairs with sampled negatives, also asked about users they have not met.

Shape letters: `B` queries, `U` users, `N` items, `E` training interactions, `W` width of a user's vector.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trials.backbones.recommenders.settings import PairSettings
from trials.data.preparing.dataset import Queries, SearchData
from trials.nn.cf import CFModel, Interactions, Pairs
from trials.training.recommender import Losses, Recommender

_CHUNK = 2**18
"""Interactions whose users' vectors are laid out at once."""


class CollaborativeModel(Recommender):
    """A CF model in the one loop.

    A user of the training data is scored by its own vector: what the query's history says of it beyond training is
    not read. A user who was not in training, as every user of a served model, gets the mean over its history's items
    of the mean vector of those who interacted with the item in training; an item that nobody interacted with, and an
    empty history, stand for the mean user. These means are taken when an evaluation starts and travel with the weights.

    Args:
        model: What is trained.
        data: Whose interactions.
        settings: Batch size and negatives.
        learnt: Whether the interactions are only stand-ins, and the means come with the weights.
    """

    audience_NW: Tensor
    mean_user_W: Tensor

    def __init__(self, model: CFModel, data: SearchData, settings: PairSettings, *, learnt: bool = False) -> None:
        super().__init__()
        self.model = model
        self._interactions = Interactions(data.train_items, data.train_offsets, data.num_items)
        self._settings = settings
        self._learnt = learnt
        self.register_buffer("audience_NW", torch.zeros(data.num_items, model.width))
        self.register_buffer("mean_user_W", torch.zeros(model.width))

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Pairs]:
        """All interactions once in a new order, each with negatives drawn anew."""
        return self._interactions.epoch(self._settings.batch_size, self._settings.negatives, rng)

    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._interactions.items) // self._settings.batch_size)

    def loss(self, batch: Pairs) -> Losses:
        """`pairs`: the CF model's own loss."""
        return {"pairs": self.model.loss(batch.to(self._device()))}

    def share(self, batch: Pairs, rank: int, workers: int) -> tuple[Pairs, dict[str, float]]:
        """Every worker takes a run of pairs, and weighs as many as they are."""
        count = len(batch.users_P)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        rows = slice(first, stop) if stop > first else slice(0, 1)
        part = Pairs(batch.users_P[rows], batch.items_P[rows], batch.negatives_PK[rows])
        return part, {"pairs": (stop - first) / count}

    def start_evaluation(self) -> None:
        """Take the means that stand for users who were not in training."""
        if self._learnt:
            return
        users_UW = self.model.all_user_vectors().detach()
        self.mean_user_W.copy_(users_UW.mean(dim=0))
        items_E, users_E = (torch.from_numpy(rows) for rows in (self._interactions.items, self._interactions.users))
        sums_NW = torch.zeros_like(self.audience_NW)
        for start in range(0, len(items_E), _CHUNK):
            rows = slice(start, start + _CHUNK)
            sums_NW.index_add_(0, items_E[rows].to(sums_NW.device), users_UW[users_E[rows].to(sums_NW.device)])
        counts_N1 = torch.bincount(items_E, minlength=len(sums_NW)).to(sums_NW)[:, None]
        self.audience_NW.copy_(torch.where(counts_N1 > 0, sums_NW / counts_N1.clamp(min=1), self.mean_user_W))

    def scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of all items."""
        users_B = torch.as_tensor(np.asarray(queries.users_B, dtype=np.int64), device=self._device())
        known_BW = self.model.user_vectors(users_B.clamp(min=0))
        return self.model.all_scores(torch.where(users_B[:, None] >= 0, known_BW, self._strangers(queries)))

    def _strangers(self, queries: Queries) -> Tensor:
        """Vectors `[B, W]` of users by their histories alone."""
        device = self._device()
        lengths_B = torch.as_tensor(np.diff(queries.offsets).astype(np.int64), device=device)
        rows = torch.repeat_interleave(torch.arange(len(queries), device=device), lengths_B)
        items = torch.as_tensor(np.asarray(queries.items, dtype=np.int64), device=device)
        sums_BW = torch.zeros(len(queries), self.model.width, device=device)
        sums_BW.index_add_(0, rows, self.audience_NW[items])
        return torch.where(lengths_B[:, None] > 0, sums_BW / lengths_B.clamp(min=1)[:, None], self.mean_user_W)

    def _device(self) -> torch.device:
        return self.mean_user_W.device
