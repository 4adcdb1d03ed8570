"""Filters against slow Python, and what holds for every input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.errors import DataError
from trials.data.preparing.filters import core, filtered, in_order, without_duplicates
from trials.data.preparing.options import DataOptions
from trials.data.reading.interactions import Interactions

rows = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 7), st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=80
)


def _interactions(found: list[tuple[int, int, int, int]], titles: list[str] | None = None) -> Interactions:
    users, items, ratings, times = (np.array(column) for column in zip(*found, strict=True))
    keys = [str(item) for item in range(8)]
    attributes = {"title": titles if titles is not None else [f"film {key}" for key in keys]}
    return Interactions(users, items, ratings.astype(float), times.astype(float), keys, attributes)


def _pairs(found: Interactions) -> list[tuple[int, int]]:
    return list(zip(found.users_E.tolist(), found.items_E.tolist(), strict=True))


@given(rows)
def test_order_is_by_user_then_time_then_file(found: list[tuple[int, int, int, int]]) -> None:
    expected = sorted(found, key=lambda row: (row[0], row[3]))  # sorted is stable
    assert _pairs(in_order(_interactions(found))) == [(user, item) for user, item, _, _ in expected]


@given(rows, st.booleans())
def test_duplicates(found: list[tuple[int, int, int, int]], keep_last: bool) -> None:
    ordered = in_order(_interactions(found))
    pairs = _pairs(ordered)
    step = -1 if keep_last else 1
    expected = list(dict.fromkeys(pairs[::step]))[::step]
    assert _pairs(without_duplicates(ordered, keep_last)) == expected


@given(rows, st.integers(1, 4), st.integers(1, 4))
def test_core_is_the_largest_fix_point(found: list[tuple[int, int, int, int]], per_user: int, per_item: int) -> None:
    remaining = list(found)
    while True:
        users, items = [row[0] for row in remaining], [row[1] for row in remaining]
        kept = [r for r in remaining if users.count(r[0]) >= per_user and items.count(r[1]) >= per_item]
        if kept == remaining:
            break
        remaining = kept
    left = core(_interactions(found), per_user, per_item)
    assert _pairs(left) == [(user, item) for user, item, _, _ in remaining]
    if len(left):
        assert core(left, per_user, per_item).users_E.tolist() == left.users_E.tolist()


@given(rows, st.integers(1, 3), st.integers(3, 5), st.integers(1, 3))
def test_filtered_data_keeps_every_promise(
    found: list[tuple[int, int, int, int]], least: int, min_length: int, rating: int
) -> None:
    options = DataOptions(core=least, min_length=min_length, min_rating=rating, duplicates="last")
    try:
        left = filtered(_interactions(found), options, "test")
    except DataError:
        return
    assert left.ratings_E is not None
    assert left.ratings_E.min() >= rating
    assert np.bincount(left.users_E).min() >= max(least, min_length)
    assert np.bincount(left.items_E, minlength=left.num_items).min() >= least
    assert (np.diff(left.users_E) >= 0).all()
    assert len(set(_pairs(left))) == len(left)
    assert len(left.attributes["title"]) == left.num_items


def test_untitled_items_can_be_dropped() -> None:
    found = _interactions([(0, item, 5, item) for item in range(5)], ["a", "", "c", " ", "e", "f", "g", "h"])
    left = filtered(found, DataOptions(drop_untitled=True), "test")
    assert left.attributes["title"] == ["a", "c", "e"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_rating": 6.0}, r"no user with at least 3 interactions is left .*min_rating.*loosen"),
        ({"min_length": 50}, r"no user with at least 50 interactions is left"),
    ],
)
def test_nothing_left_says_which_filters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        filtered(_interactions([(0, item, 5, item) for item in range(5)]), DataOptions(**options), "test")


def test_items_can_need_more_than_users() -> None:
    found = _interactions([(user, item, 5, item) for user in range(3) for item in range(3 + user)])
    left = filtered(found, DataOptions(min_item=2), "test")
    assert np.bincount(left.items_E).tolist() == [3, 3, 3, 2]
    assert filtered(found, DataOptions(min_item=3), "test").num_items == 3


def test_filters_that_the_data_cannot_serve() -> None:
    bare = Interactions(np.zeros(4, dtype=int), np.arange(4), None, None, list("abcd"), {})
    with pytest.raises(DataError, match="min_rating needs ratings"):
        filtered(bare, DataOptions(min_rating=4), "test")
    with pytest.raises(DataError, match="drop_untitled needs the attribute title"):
        filtered(bare, DataOptions(drop_untitled=True), "test")
