"""Leave-one-out and the share of users, against slow Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from searchplat.errors import InputError
from trials.data.preparing.selection import leave_one_out, places_of, select_users

sequences = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=8), min_size=1, max_size=12)


def _flat(found: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    users = np.repeat(np.arange(len(found)), [len(row) for row in found])
    return users, np.array([item for row in found for item in row])


@given(sequences)
def test_leave_one_out(found: list[list[int]]) -> None:
    cut = leave_one_out(*_flat(found))
    offsets = cut.train_offsets
    assert [cut.train_items[a:b].tolist() for a, b in pairwise(offsets)] == [r[:-2] for r in found]
    assert cut.valid_UT[:, 0].tolist() == [row[-2] for row in found]
    assert cut.test_UT[:, 0].tolist() == [row[-1] for row in found]
    _, items = _flat(found)
    assert items[cut.train_E].tolist() == cut.train_items.tolist()
    assert items[cut.valid_at_UT[:, 0]].tolist() == cut.valid_UT[:, 0].tolist()
    assert items[cut.test_at_UT[:, 0]].tolist() == cut.test_UT[:, 0].tolist()
    assert cut.train_items.dtype == cut.valid_UT[:, 0].dtype == cut.test_UT[:, 0].dtype == np.int32


@given(sequences, st.data())
def test_places_of(found: list[list[int]], data: st.DataObject) -> None:
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(found) - 1), min_size=1))))
    _, items = _flat(found)
    offsets = np.cumsum([0] + [len(row) for row in found])
    places, new = places_of(offsets, rows)
    assert [items[places][a:b].tolist() for a, b in pairwise(new)] == [found[row] for row in rows]


@given(st.integers(1, 500), st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 5))
def test_fractions_are_nested(users: int, one: float, other: float, seed: int) -> None:
    assume(int(min(one, other) * users + 0.5) >= 1)
    small, large = (set(select_users(users, f, seed).tolist()) for f in sorted((one, other)))
    assert small <= large
    assert len(small) == min(users, int(min(one, other) * users + 0.5))


def test_all_users_are_in_order_and_seeds_differ() -> None:
    assert select_users(5, 1.0, 3).tolist() == [0, 1, 2, 3, 4]
    assert select_users(100, 0.2, 0).tolist() == select_users(100, 0.2, 0).tolist()
    assert select_users(100, 0.2, 0).tolist() != select_users(100, 0.2, 1).tolist()


def test_a_fraction_of_no_user_is_refused() -> None:
    assert len(select_users(60, 0.009, 0)) == 1
    with pytest.raises(InputError, match=r"at least one of the 60 users, 0.0167, got 1e-09"):
        select_users(60, 1e-9, 0)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, float("nan")])
def test_fractions_outside_are_refused(fraction: float) -> None:
    with pytest.raises(InputError, match=r"data fraction must lie in \(0, 1\]"):
        select_users(10, fraction, 0)
