"""Trials of programs, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, Method, TrialJob, WarmCache
from searchplat.programs.training import ProgramTraining

Start = Callable[..., ProgramTraining]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a trial of a method in the test's folder, again and again."""
    begun: list[ProgramTraining] = []

    def started(method: Method, **values: Any) -> ProgramTraining:
        job = TrialJob(
            number=4,
            config=method.Config(**values),
            data=DataRequest("none"),
            seed=11,
            folder=tmp_path / "trial",
            assets=AssetStore(),
            warm=WarmCache(),
        )
        training = method.start(job)
        assert isinstance(training, ProgramTraining)
        begun.append(training)
        return training

    yield started
    for training in begun:
        training.close()
