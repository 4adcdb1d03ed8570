"""Fixtures for the tests of DARec, of MixRec and of what they share: a `conftest.py` imports them and adds `method`.

A small data set made by hand, an asset source without a network, and tiny models of every kind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.errors import AssetError
from trials.data.dataset import SearchData
from trials.dual.method import DualMethod

TINY: dict[str, Any] = {
    "backbone": "random-llama",
    "num_layers": 2,
    "text_encoder": "random-bert",
    "bottleneck": 4,
    "batch_size": 4,
    "align_batch_size": 5,
    "max_items": 4,
    "cf_width": 4,
    "hard_fraction": 0.1,
    "hard_mf_width": 5,
    "cf_epochs": 2,
}


class Folder:
    """An asset source that has a cache folder and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, name: str) -> Path:
        raise AssetError(f"{name}: these tests use no assets")

    def cached(self, name: str) -> bool:
        return False

    def folder(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path


def search_data(users: int = 12, items: int = 20, seed: int = 0, sentences: list[str] | None = None) -> SearchData:
    """Random histories of 1 to 8 items; sentences of 2 to 6 words."""
    rng = np.random.default_rng(seed)
    histories = [rng.permutation(items)[: rng.integers(1, 9)] for _ in range(users)]
    histories[0] = histories[0][:1]
    histories[1] = rng.permutation(items)[:8]
    words = ["red", "blue", "old", "new", "film", "book", "war", "love"]
    if sentences is None:
        sentences = [f"title {' '.join(rng.choice(words, size=rng.integers(1, 6)))}" for _ in range(items)]
    return SearchData(
        name="by-hand",
        train_items=np.concatenate(histories).astype(np.int32),
        train_offsets=np.concatenate([[0], np.cumsum([len(h) for h in histories])]),
        valid_target_U=rng.integers(items, size=users).astype(np.int32),
        users_U=np.arange(users),
        num_items=items,
        sentences=sentences,
        titles=sentences,
        fingerprint=f"by-hand-{users}-{items}-{seed}-{hash(tuple(sentences))}",
    )


@pytest.fixture
def data() -> SearchData:
    return search_data()


@pytest.fixture
def make_data() -> Callable[..., SearchData]:
    """Make such data with other numbers of users and items, another seed, or sentences of one's own."""
    return search_data


@pytest.fixture
def make_job(method: DualMethod, tmp_path: Path) -> Callable[..., TrialJob]:
    """Make a job with these settings over `TINY`; jobs of one test share their warm cache."""
    warm = WarmCache()

    def make(seed: int = 0, **settings: Any) -> TrialJob:
        config = method.Config(**{**TINY, **settings})
        return TrialJob(0, config, DataRequest("toy"), seed, tmp_path / "trial", Folder(tmp_path), warm)

    return make


@pytest.fixture
def make_model(method: DualMethod, data: SearchData, make_job: Callable[..., TrialJob]) -> Callable[..., Any]:
    """Build a model on `data` with these settings over `TINY`, seeded."""
    import torch

    def make(seed: int = 0, on: SearchData | None = None, **settings: Any) -> Any:
        job = make_job(seed, **settings)
        torch.manual_seed(seed)
        return method.build(job.config, data if on is None else on, job)

    return make
