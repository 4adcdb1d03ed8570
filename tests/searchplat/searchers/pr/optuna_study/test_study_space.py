"""The parameters of a study in codes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchplat.searchers.pr.optuna_study.study_space import StudySpace

BITS: dict[str, BaseDistribution] = {f"b{i}": IntDistribution(0, 1) for i in range(3)}
MIXED: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution((None, "a", 1.5)),
    "n": IntDistribution(1, 100),
    "rate": FloatDistribution(1e-3, 1.0, log=True),
}


def space(distributions: dict[str, BaseDistribution]) -> StudySpace:
    return StudySpace(distributions, lambda _: None, [])


def test_codes_and_parameters_are_each_others_inverse() -> None:
    points: list[dict[str, Any]] = [
        {"kind": kind, "n": n, "rate": rate} for kind, n, rate in ((None, 1, 1e-3), ("a", 57, 0.02), (1.5, 100, 1.0))
    ]
    mixed = space(MIXED)
    codes = mixed.codes([*points, *points])
    assert torch.equal(codes[:3], codes[3:])
    for point, code_A in zip(points, codes, strict=False):
        assert mixed.params(code_A) == {**point, "rate": pytest.approx(point["rate"])}
    assert mixed.codes([{"n": 5}]).isnan().sum() == 2
    assert mixed.codes([]).shape == (0, 3)


def test_a_row_is_among_those_that_are_rounded_to_the_same_point() -> None:
    mixed = space(MIXED)
    (tried,) = mixed.codes([{"kind": "a", "n": 50, "rate": 0.1}])
    n = [axis.name for axis in mixed.encoding.axes].index("n")
    for shift, same in ((0.0, True), (0.001, True), (0.2, False)):
        moved = tried.clone()
        moved[n] += shift
        assert mixed.among(moved, tried[None]) is same
    lacking = tried.clone()
    lacking[n] = math.nan
    assert not mixed.among(tried, lacking[None])
    assert not mixed.among(tried, tried[None][:0])


def test_bits_are_among_equal_bits_alone() -> None:
    bits = space(BITS)
    tried = bits.codes([{"b0": 1, "b1": 0, "b2": 1}, {"b0": 1, "b1": 1}])
    assert bits.among(bits.codes([{"b0": 1, "b1": 0, "b2": 1}])[0], tried)
    assert not bits.among(bits.codes([{"b0": 1, "b1": 1, "b2": 1}])[0], tried)
