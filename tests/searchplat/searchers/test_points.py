from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchplat.searchers.points import enumerate_points, key, layouts, levels, repaired, seed_of, snap, untried
from searchplat.spec.space import Bool, Categorical, Condition, Float, Int, Layout, Space

TINY = Space((Categorical("a", ("x", "y", 1, True)), Int("b", 0, 4, step=2, when=(Condition("a", ("y",)),))))


def layout(layers: int = 3, at_most: dict[str, int] | None = None) -> Layout:
    return Layout("layout", layers, ("p", "q"), ("serial", "parallel"), at_most=at_most or {})


def test_seeds_are_fixed_for_ever_and_differ_by_every_part() -> None:
    assert seed_of(1, "a", 2) == 6667559282314745740
    assert len({seed_of(1, "a", 2), seed_of(2, "a", 2), seed_of(1, "b", 2), seed_of(1, "a", 3)}) == 4


def test_enumeration_meets_every_point_once_and_knows_types_apart() -> None:
    points = list(enumerate_points(TINY, {}))

    assert points == [{"a": "x"}, {"a": "y", "b": 0}, {"a": "y", "b": 2}, {"a": "y", "b": 4}, {"a": 1}, {"a": True}]
    assert len({key(TINY, p) for p in points}) == 6
    shuffled = list(enumerate_points(TINY, {}, np.random.default_rng(0)))
    assert shuffled != points
    assert sorted(map(str, shuffled)) == sorted(map(str, points))


def test_untried_ends_with_the_last_point() -> None:
    rng = np.random.default_rng(0)
    known: set[tuple[str, ...]] = set()
    for _ in range(6):
        point = untried(TINY, rng, {}, known)
        assert point is not None
        known.add(key(TINY, point))
    assert len(known) == 6
    assert untried(TINY, rng, {}, known) is None


def test_untried_ends_on_a_continuum_without_width() -> None:
    space = Space((Float("x", 0.0, 1.0, when=(Condition("a", (1,)),)),))

    assert untried(space, np.random.default_rng(0), {"a": 2}, {key(space, {})}) is None


@pytest.mark.parametrize("at_most", [{}, {"parallel": 2}, {"serial": 4}, {"parallel": 3, "serial": 4}])
def test_layouts_are_all_allowed_ones(at_most: dict[str, int]) -> None:
    axis = layout(at_most=at_most)

    found = list(layouts(axis, np.random.default_rng(0)))

    everything = (axis.encode(np.array(bits)) for bits in itertools.product([0, 1], repeat=6))
    assert sorted(found) == sorted(text for text in everything if axis.refusal(text) is None)
    assert len(found) == axis.size()


@given(st.lists(st.integers(0, 1), min_size=12, max_size=12), st.integers(0, 6), st.integers(0, 6))
def test_repair_reaches_the_nearest_allowed_layout(bits: list[int], most_ones: int, spare: int) -> None:
    axis = layout(6, {"parallel": most_ones, "serial": 12 - most_ones + spare})
    before = np.array(bits, dtype=np.int8)

    after = repaired(axis, before)

    low, high = axis.count_range()
    assert axis.refusal(axis.encode(after)) is None
    assert int(np.abs(after - before).sum()) == max(0, before.sum() - high, low - before.sum())
    assert np.array_equal(after, repaired(axis, before))


def test_repair_does_not_favour_a_layer() -> None:
    axis = layout(20, {"parallel": 20})
    rng = np.random.default_rng(0)
    kept = np.mean([repaired(axis, (rng.random(40) < 0.7).astype(np.int8)) for _ in range(2000)], axis=0)

    assert np.all(np.abs(kept - 0.5) < 5 * 0.5 / 2000**0.5)


@settings(max_examples=50)
@given(st.floats(-2, 12), st.sampled_from([0.1, 0.25, 0.3, 1.0]))
def test_snap_hits_the_values_that_sampling_draws(value: float, step: float) -> None:
    axis = Float("x", 0.5, 9.9, step=step)

    snapped = snap(axis, value)

    assert axis.refusal(snapped) is None
    grid = [axis.low + axis.step * i for i in range(int(axis.size()))]  # type: ignore[operator]
    assert snapped in grid
    assert abs(snapped - min(max(value, 0.5), grid[-1])) <= step / 2 + 1e-9


def test_snap_keeps_types() -> None:
    assert snap(Int("n", 2, 9, step=3), 6.4) == 5
    assert isinstance(snap(Int("n", 2, 9, step=3), np.float64(5.0)), int)
    assert snap(Bool("b"), np.int64(1)) is True


def test_no_level_of_a_grid_is_above_high_for_rounding() -> None:
    axis = Float("x", 0.1, 0.7, step=0.1)  # 0.1 + 6 * 0.1 is 0.7000000000000001
    values = levels(axis)
    assert values is not None
    assert values[-1] == 0.7
    assert [axis.refusal(value) for value in values] == [None] * 7
    assert snap(axis, 0.69) == 0.7
    assert max(axis.sample(np.random.default_rng(seed)) for seed in range(50)) == 0.7
