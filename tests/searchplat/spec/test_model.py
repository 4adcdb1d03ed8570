from __future__ import annotations

import math

import numpy as np
import pytest

from searchplat.spec.space import Bool, Categorical, Condition, Float, Int, Layout, Space

LAYOUT = Layout("layout", 2, ("a", "b", "c"), ("serial", "parallel"), {"parallel": 2})


def test_layout_text_and_bits_agree() -> None:
    assert LAYOUT.encode(LAYOUT.decode("010-001")) == "010-001"
    assert LAYOUT.names()[3] == "layer1.a"
    assert LAYOUT.uniform("parallel") == "111-111"
    assert LAYOUT.size() == 1 + 6 + 15


@pytest.mark.parametrize("value", ["010", "010-00", "01x-000", 10, "111-000", "0-1-0"])
def test_layout_refuses(value: object) -> None:
    assert LAYOUT.refusal(value)


def test_samples_lie_on_their_axes() -> None:
    rng = np.random.default_rng(0)
    axes = [
        Float("f", 1e-3, 1.0, log=True),
        Float("g", 0.0, 1.0, step=0.25),
        Int("i", 2, 8, step=2),
        Int("j", 1, 1000, log=True),
        Categorical("c", ("x", 1, None)),
        Bool("b"),
        LAYOUT,
    ]
    for axis in axes:
        for _ in range(100):
            assert axis.refusal(axis.sample(rng)) is None
    assert Space(tuple(axes)).size() == math.inf


def test_values_are_told_apart_by_type() -> None:
    axis = Categorical("c", (1, "1"))
    assert axis.refusal(True)
    assert axis.refusal(1.0)
    assert axis.refusal("1") is None
    assert Int("i", 0, 3).refusal(True)


def test_an_inactive_parameter_does_not_count_as_null() -> None:
    space = Space(
        (
            Categorical("outer", ("on", "off")),
            Categorical("depth", (None, 2), when=(Condition("outer", ("on",)),)),
            Bool("leaf", when=(Condition("depth", (None,)),)),
        )
    )
    assert space.refusals({"outer": "off"}) == []
    assert space.refusals({"outer": "on", "depth": None, "leaf": True}) == []
    assert space.refusals({"outer": "off", "leaf": True}) == ["leaf: is inactive under these values"]
