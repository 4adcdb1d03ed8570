"""A small data set made by hand, with ratings and genres, and models on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.errors import AssetError
from trials.data.dataset import SearchData
from trials.promptbert.config import PromptBERTConfig

TINY: dict[str, Any] = {"backbone": "random-bert", "num_layers": 1, "max_tokens": 90, "batch_size": 4, "experts": 3}


class Folder:
    """An asset source that has a cache folder and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, name: str) -> Path:
        raise AssetError(f"{name}: these tests use no assets")

    def folder(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path


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
    return SearchData(
        name=name,
        train_items=np.concatenate(histories).astype(np.int32),
        train_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        valid_target_U=rng.integers(items, size=len(lengths)).astype(np.int32),
        users_U=np.arange(len(lengths)),
        num_items=items,
        sentences=[f"title {n}" for n in range(items)],
        titles=[f"{'Old' if n % 2 else 'New'} story {n}" for n in range(items)],
        fingerprint=f"by-hand-{lengths}-{items}-{rated}-{genres}-{name}",
        ratings=rng.integers(1, 11, size=total).astype(np.float32) / 2 if rated else np.zeros(0, dtype=np.float32),
        valid_rating_U=np.full(len(lengths) if rated else 0, 4.0, dtype=np.float32),
        attributes={"title": [""] * items, **({"genres": texts} if genres else {})},
    )


@pytest.fixture
def data() -> SearchData:
    return search_data()


@pytest.fixture
def make_data() -> Callable[..., SearchData]:
    """Make such data of other lengths, or without ratings or genres."""
    return search_data


@pytest.fixture
def make_model(data: SearchData, tmp_path: Path) -> Callable[..., Any]:
    """Build a model on `data` with these settings over `TINY`, seeded; models of one test share a warm cache."""
    import torch

    from trials.promptbert.build import build

    warm = WarmCache()

    def make(seed: int = 0, on: SearchData | None = None, **settings: Any) -> Any:
        config = PromptBERTConfig(**{**TINY, **settings})
        job = TrialJob(0, config, DataRequest("toy"), seed, tmp_path / "trial", Folder(tmp_path), warm)
        torch.manual_seed(seed)
        return build(config, data if on is None else on, job)

    return make
