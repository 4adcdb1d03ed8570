"""A small data set made by hand, with ratings and genres, and models on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from by_hand import search_data as made_of
from small_models import cache, make_job, make_model, warm  # noqa: F401

from trials.data.preparing.dataset import SearchData
from trials.promptbert import PromptBERT


def search_data(
    lengths: tuple[int, ...] = (1, 2, 3, 5, 8, 13, 0, 21),
    items: int = 30,
    *,
    rated: bool = True,
    genres: bool = True,
    name: str = "ml-by-hand",
) -> SearchData:
    """Random histories of these lengths; items have one to three genres, and every fifth none."""
    rng = np.random.default_rng(0)
    kinds = ["Action", "Comedy", "Film-Noir", "War"]
    texts = ["" if n % 5 == 4 else " ".join(rng.permutation(kinds)[: 1 + n % 3]) for n in range(items)]
    histories = [rng.permutation(items)[:length] for length in lengths]
    total = sum(lengths)
    return made_of(
        histories,
        items,
        rng.integers(items, size=len(lengths)),
        name=name,
        sentences=[f"title {n}" for n in range(items)],
        titles=[f"{'Old' if n % 2 else 'New'} story {n}" for n in range(items)],
        fingerprint=f"by-hand-{lengths}-{items}-{rated}-{genres}-{name}",
        ratings=rng.integers(1, 11, size=total).astype(np.float32) / 2 if rated else np.zeros(0, dtype=np.float32),
        valid_rating_U=np.full(len(lengths) if rated else 0, 4.0, dtype=np.float32),
        attributes={"title": [""] * items, **({"genres": texts} if genres else {})},
    )


@pytest.fixture
def method() -> PromptBERT:
    return PromptBERT()


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings of models that are built in no time."""
    return {"backbone": "random-bert", "num_layers": 1, "max_tokens": 90, "batch_size": 4, "experts": 3}


@pytest.fixture
def data() -> SearchData:
    return search_data()


@pytest.fixture
def make_data() -> Callable[..., SearchData]:
    """Make such data of other lengths, or without ratings or genres."""
    return search_data
