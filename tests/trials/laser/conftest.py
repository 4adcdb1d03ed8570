"""A small data set made by hand, and models and loops of every kind on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_hand import WORDS, random_data
from small_models import make_job, make_model  # noqa: F401

from searchplat.contract import TrialJob, WarmCache
from trials.data.preparing.dataset import SearchData
from trials.laser import Laser


def search_data(users: int = 12, items: int = 20, seed: int = 0) -> SearchData:
    """Random data; brands for some items, categories for all."""
    made = random_data(users, items, seed)
    attributes = {
        "title": made.titles,
        "categories": [WORDS[i % 8] for i in range(items)],
        "brand": ["Acme" if i % 3 else "" for i in range(items)],
        "description": ["long"] * items,
    }
    return replace(made, attributes=attributes)


@pytest.fixture
def method() -> Laser:
    return Laser()


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings of models that are built in no time."""
    return {
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
def make_loop(method: Laser, data: SearchData, make_job: Callable[..., TrialJob]) -> Callable[..., Any]:  # noqa: F811
    """A trial ready to train on `data`, with checkpoints in `folder`."""
    import torch

    from trials.training import Loop

    def make(folder: str = "trial", seed: int = 0, **settings: Any) -> Any:
        job = make_job(seed, folder, **settings)
        torch.manual_seed(seed)
        return Loop(method.build(job.config, data, job), data, job.config, seed=seed, folder=job.folder)

    return make
