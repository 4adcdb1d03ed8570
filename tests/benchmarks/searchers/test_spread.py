"""The arithmetic behind `darec_layouts.py --summary`, on tables whose parts are known."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def spread() -> Any:
    """`spread.py`, which the scripts beside it import by its bare name."""
    spec = importlib.util.spec_from_file_location("spread", Path(__file__).with_name("spread.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.spread


def layouts(bits: int) -> list[str]:
    return ["".join(one) for one in itertools.product("01", repeat=bits)]


def test_a_table_that_can_be_worked_out_by_hand(spread: Any) -> None:
    # Value: 10, 4 for the first bit, 1 for seed 1, and ±0.5 of noise that adds up to nothing by layout or seed.
    noise = {"00": 0.5, "01": -0.5, "10": -0.5, "11": 0.5}
    table = {
        (name, seed): 10 + 4 * int(name[0]) + seed + (noise[name] if seed else -noise[name])
        for name in layouts(2)
        for seed in (0, 1)
    }
    found = spread(table)
    assert found.seed_means == pytest.approx([12, 13])
    # Squares of noise 8 * 0.25, degrees of freedom (4 - 1) * (2 - 1); means 10.5, 10.5, 14.5, 14.5, variance 16 / 3.
    assert found.noise == pytest.approx((2 / 3) ** 0.5)
    assert found.layouts == pytest.approx((16 / 3 - 1 / 3) ** 0.5)
    assert found.effects == pytest.approx([4, 0])
    # An effect is the difference of two means of two layouts, each a mean of two trainings.
    assert found.t == pytest.approx([4 / (2 / 3 * (1 / 4 + 1 / 4)) ** 0.5, 0])
    # Of the sum of squares 16 of the means two bits' noise, 1/3 each, is taken off; of the variance 5, three times.
    assert found.additive == pytest.approx((16 - 2 / 3) / 15)
    seed_0, seed_1 = ([table[name, seed] for name in layouts(2)] for seed in (0, 1))
    assert found.correlation == pytest.approx(np.corrcoef(seed_0, seed_1)[0, 1])


def test_what_all_layouts_of_a_seed_share_is_neither_noise_nor_layouts(spread: Any) -> None:
    rng = np.random.default_rng(0)
    bits = np.array([[int(bit) for bit in name] for name in layouts(9)])
    worth = bits @ rng.normal(size=9)
    table = {
        (name, seed): value + 100 * seed + 2 * rng.normal()
        for seed in range(3)
        for name, value in zip(layouts(9), worth, strict=True)
    }
    found = spread(table)
    assert found.noise == pytest.approx(2, rel=0.1)
    assert found.layouts == pytest.approx(worth.std(ddof=1), rel=0.1)
    assert found.additive == pytest.approx(1, abs=0.05)


def test_layouts_without_every_seed_are_left_out_and_too_few_say_nothing(spread: Any) -> None:
    table = {(name, seed): float(int(name, 2)) for name in layouts(2) for seed in (0, 1)}
    whole = spread(table)
    assert (whole.noise, whole.layouts) == (0, pytest.approx(np.std([0, 1, 2, 3], ddof=1)))
    assert spread({**table, ("000", 0): 99.0}).layouts == whole.layouts
    assert spread({key: value for key, value in table.items() if key[1] == 0}) is None
    assert spread({key: value for key, value in table.items() if key[0] != "11"}) is None
    assert spread({("00", 0): 1.0, ("11", 1): 2.0}) is None
    assert spread({}) is None
