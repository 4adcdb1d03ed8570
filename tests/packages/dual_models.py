"""Fixtures for the tests of DARec, of MixRec and of what they share: a `conftest.py` imports them and adds `method`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from by_hand import random_data
from small_models import cache, make_job, make_model, warm

from trials.data.preparing.dataset import SearchData

__all__ = ["cache", "data", "make_data", "make_job", "make_model", "tiny", "warm"]


def search_data(users: int = 12, items: int = 20, seed: int = 0, sentences: list[str] | None = None) -> SearchData:
    """Random data; sentences of 2 to 6 words."""
    made = random_data(users, items, seed)
    told = [f"title {title}" for title in made.titles] if sentences is None else sentences
    return replace(made, sentences=told, titles=told, fingerprint=f"{made.fingerprint}-{hash(tuple(told))}")


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings of models that are built in no time."""
    return {
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


@pytest.fixture
def data() -> SearchData:
    return search_data()


@pytest.fixture
def make_data() -> Callable[..., SearchData]:
    """Make such data with other numbers of users and items, another seed, or sentences of one's own."""
    return search_data
