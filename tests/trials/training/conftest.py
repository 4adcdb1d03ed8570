"""A small data set made by hand and a small model with everything that a checkpoint must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from torch import Tensor, nn

from trials.data.preparing.dataset import Queries, SearchData
from trials.training.loop import Loop
from trials.training.recommender import Losses, Recommender
from trials.training.settings.config import LoopConfig


class Bigram(Recommender):
    """Predicts the next item from the last one: a frozen table, a trained layer, dropout, a counting buffer."""

    seen: Tensor

    def __init__(self, data: SearchData, width: int = 6) -> None:
        super().__init__()
        self.data = data
        self.table = nn.Embedding(data.num_items, width).requires_grad_(False)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(width, data.num_items)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)
        self.poison: dict[int, float] = {}
        self.steps = 0

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Any]:
        pairs = np.array([p for u in range(self.data.num_users) for p in zip(*self._pairs(u), strict=True)])
        for rows in np.array_split(rng.permutation(len(pairs)), self.num_batches()):
            yield torch.as_tensor(pairs[rows], dtype=torch.int64)

    def _pairs(self, user: int) -> tuple[Any, Any]:
        history = self.data.history(user)
        return history[:-1], history[1:]

    def num_batches(self) -> int:
        return 3

    def loss(self, batch: Any) -> Losses:
        self.seen += len(batch)
        logits = self.head(self.dropout(self.table(batch[:, 0])))
        factor = self.poison.get(self.steps, 1.0)
        self.steps += 1
        return {
            "next": nn.functional.cross_entropy(logits, batch[:, 1]) * factor,
            "small": 0.1 * self.head.bias.square().mean(),
        }

    def scores(self, queries: Queries) -> Tensor:
        last = torch.as_tensor([int(queries.history(b)[-1]) for b in range(len(queries))])
        scores: Tensor = self.head(self.table(last))
        return scores

    def diagnostics(self) -> dict[str, float]:
        return {"bigram/seen": float(self.seen)}


@pytest.fixture
def data() -> SearchData:
    rng = np.random.default_rng(0)
    histories = [rng.permutation(12)[: rng.integers(3, 9)].tolist() for _ in range(10)]
    return search_data(histories, 12, rng.integers(12, size=10))


@pytest.fixture
def make_loop(data: SearchData, tmp_path: Path) -> Callable[..., Loop]:
    """Make a loop as a fresh process would: the same model from the same seed, in a folder of the test."""

    def make(folder: str = "trial", seed: int = 5, model_seed: int = 3, width: int = 6, **config: Any) -> Loop:
        torch.manual_seed(model_seed)
        settings = LoopConfig(**{"epochs": 4, "learning_rate": 0.05, **config})
        return Loop(Bigram(data, width), data, settings, seed=seed, folder=tmp_path / folder)

    return make
