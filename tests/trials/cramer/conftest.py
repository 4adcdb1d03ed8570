"""A tiny CRAMER on the toy data, made without a network and without early stopping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from method_cases import CASES, Bench, Case

from trials.cramer.model import CRAMERModel

Make = Callable[..., CRAMERModel]


@pytest.fixture(scope="session")
def cramer_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Case("cramer", {**CASES["cramer-sasrec"].values}), tmp_path_factory.mktemp("cramer"))


@pytest.fixture
def make(cramer_bench: Bench, tmp_path: Path) -> Make:
    """A model as a trial makes it, in evaluation mode."""

    def make(**values: Any) -> CRAMERModel:
        model = cramer_bench.start(tmp_path / "unused", **values).model
        assert isinstance(model, CRAMERModel)
        return model.eval()

    return make
