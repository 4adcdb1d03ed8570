"""Fixtures that build a method's models on data made by hand.

A `conftest.py` imports them and adds `method`, the `tiny` settings and `data`; `cache` and `warm` may be its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from by_hand import Folder

from searchplat.contract import DataRequest, TrialJob, WarmCache
from trials.data.preparing.dataset import SearchData
from trials.training import RecommenderMethod


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder behind the asset source."""
    return tmp_path


@pytest.fixture
def warm() -> WarmCache:
    """What the jobs of a test share."""
    return WarmCache()


@pytest.fixture
def make_job(
    method: RecommenderMethod, tiny: dict[str, Any], tmp_path: Path, cache: Path, warm: WarmCache
) -> Callable[..., TrialJob]:
    """Make a job with these settings over the tiny ones."""

    def make(seed: int = 0, folder: str = "trial", **settings: Any) -> TrialJob:
        config = method.Config(**{**tiny, **settings})
        return TrialJob(0, config, DataRequest("toy"), seed, tmp_path / folder, Folder(cache), warm)

    return make


@pytest.fixture
def make_model(method: RecommenderMethod, data: SearchData, make_job: Callable[..., TrialJob]) -> Callable[..., Any]:
    """Build a model on `data` with these settings over the tiny ones, seeded."""
    import torch

    def make(seed: int = 0, on: SearchData | None = None, **settings: Any) -> Any:
        job = make_job(seed, **settings)
        torch.manual_seed(seed)
        return method.build(job.config, data if on is None else on, job)

    return make
