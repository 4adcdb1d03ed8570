"""A small data set made by hand, an asset source without a network, and models of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.errors import AssetError
from trials.data.dataset import SearchData
from trials.laser.config import LaserConfig

TINY: dict[str, Any] = {
    "backbone": "random-llama",
    "epochs": 4,
    "phase1_share": 0.5,
    "batch_size": 4,
    "learning_rate": 0.01,
    "max_items": 5,
    "targets_per_user": 1,
    "max_tokens": 60,
    "max_item_tokens": 8,
    "num_experts": 3,
    "top_experts": 2,
    "prefix_length": 3,
    "former_width": 8,
    "former_heads": 2,
    "former_layers": 2,
    "former_dropout": 0.0,
    "id_epochs": 1,
    "id_patience": None,
    "id_copies": 1,
    "id_width": 4,
}


class Folder:
    """An asset source that has a cache folder and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, name: str) -> Path:
        if Path(name).is_dir():
            return Path(name)
        raise AssetError(f"{name}: these tests use no assets")

    def folder(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path


def search_data(users: int = 12, items: int = 20, seed: int = 0) -> SearchData:
    """Random histories of 1 to 8 items; titles of 1 to 5 words, brands for some, categories for all."""
    rng = np.random.default_rng(seed)
    histories = [rng.permutation(items)[: rng.integers(1, 9)] for _ in range(users)]
    histories[0] = histories[0][:1]
    histories[1] = rng.permutation(items)[:8]
    words = ["red", "blue", "old", "new", "film", "book", "war", "love"]
    titles = [" ".join(rng.choice(words, size=rng.integers(1, 6))) for _ in range(items)]
    return SearchData(
        name="by-hand",
        train_items=np.concatenate(histories).astype(np.int32),
        train_offsets=np.concatenate([[0], np.cumsum([len(h) for h in histories])]),
        valid_target_U=rng.integers(items, size=users).astype(np.int32),
        users_U=np.arange(users),
        num_items=items,
        sentences=titles,
        titles=titles,
        fingerprint=f"by-hand-{users}-{items}-{seed}",
        attributes={
            "title": titles,
            "categories": [words[i % 8] for i in range(items)],
            "brand": ["Acme" if i % 3 else "" for i in range(items)],
            "description": ["long"] * items,
        },
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ID-based recommenders of all these tests are kept."""
    return tmp_path_factory.mktemp("laser")


@pytest.fixture(scope="session")
def warm() -> WarmCache:
    return WarmCache()


@pytest.fixture
def data() -> SearchData:
    return search_data()


@pytest.fixture
def make_data() -> Callable[..., SearchData]:
    """Make such data with other numbers of users and items, or another seed."""
    return search_data


@pytest.fixture
def make_job(tmp_path: Path, cache: Path, warm: WarmCache) -> Callable[..., TrialJob]:
    """Make a job with these settings over `TINY`; all jobs share the warm cache and the recommenders."""

    def make(seed: int = 0, folder: str = "trial", **settings: Any) -> TrialJob:
        config = LaserConfig(**{**TINY, **settings})
        return TrialJob(0, config, DataRequest("toy"), seed, tmp_path / folder, Folder(cache), warm)

    return make


@pytest.fixture
def make_model(data: SearchData, make_job: Callable[..., TrialJob]) -> Callable[..., Any]:
    """Build a model on `data` with these settings over `TINY`, seeded."""
    import torch

    from trials.laser.build import build

    def make(seed: int = 0, on: SearchData | None = None, **settings: Any) -> Any:
        job = make_job(seed, **settings)
        torch.manual_seed(seed)
        assert isinstance(job.config, LaserConfig)
        return build(job.config, data if on is None else on, job)

    return make


@pytest.fixture
def make_loop(data: SearchData, make_job: Callable[..., TrialJob]) -> Callable[..., Any]:
    """A trial ready to train on `data`, with checkpoints in `folder`."""
    import torch

    from trials.laser.build import build
    from trials.training import Loop

    def make(folder: str = "trial", seed: int = 0, **settings: Any) -> Any:
        job = make_job(seed, folder, **settings)
        torch.manual_seed(seed)
        assert isinstance(job.config, LaserConfig)
        return Loop(build(job.config, data, job), data, job.config, seed=seed, folder=job.folder)

    return make
