from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.cl4srec import CL4SRecConfig
from trials.cl4srec.augmentations import MASK, crop, mask, operators, reorder, two_views

RATIOS = st.floats(0.01, 1.0)
SEQUENCES = st.lists(st.integers(0, 99), min_size=1, max_size=30).map(lambda items: np.array(items, dtype=np.int64))
SEEDS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(SEQUENCES, SEEDS, RATIOS)
def test_a_crop_is_a_run_of_its_length(items: np.ndarray, rng: np.random.Generator, ratio: float) -> None:
    found = crop(items, rng, ratio).tolist()
    length = max(1, int(ratio * len(items)))
    assert found in [items[start : start + length].tolist() for start in range(len(items))]
    assert len(found) == length


@given(SEQUENCES, SEEDS, RATIOS)
def test_a_mask_hides_its_share_and_leaves_the_rest(items: np.ndarray, rng: np.random.Generator, ratio: float) -> None:
    found = mask(items, rng, ratio)
    assert (found == MASK).sum() == int(ratio * len(items))
    assert np.array_equal(found[found != MASK], items[found != MASK])


@given(SEQUENCES, SEEDS, RATIOS)
def test_reordering_stays_within_a_run(items: np.ndarray, rng: np.random.Generator, ratio: float) -> None:
    found = reorder(items, rng, ratio)
    assert sorted(found) == sorted(items)
    changed = np.flatnonzero(found != items)
    assert not len(changed) or changed[-1] - changed[0] < int(ratio * len(items))


def test_each_view_draws_an_operator_of_its_own_and_the_sequence_stays_whole() -> None:
    items, rng = np.arange(10), np.random.default_rng(0)
    choices = operators(CL4SRecConfig(crop_ratio=0.5, mask_ratio=0.5, reorder_ratio=1.0))
    kinds = set()
    for _ in range(200):
        views = two_views(items, rng, choices)
        kinds.add(tuple("crop" if len(view) == 5 else "mask" if MASK in view else "reorder" for view in views))
    assert len(kinds) == 9
    assert items.tolist() == list(range(10))


@pytest.mark.parametrize("name", ["crop", "mask", "reorder"])
def test_one_operator_alone(name: str) -> None:
    assert len(operators(CL4SRecConfig(augmentations=(name,)))) == 1
