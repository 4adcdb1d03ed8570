"""Requests made of previous interactions, against slow Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.contract import AssetSource, DataRequest
from searchplat.errors import InputError
from trials.data import open_search
from trials.data.reading.interactions import Interactions
from trials.data.reading.requests import with_requests


def _interactions(users: list[int], notes: bool) -> Interactions:
    count = len(users)
    return Interactions(
        users_E=np.array(sorted(users), dtype=np.int64),
        items_E=np.arange(count, dtype=np.int64) % 3,
        ratings_E=None,
        times_E=None,
        item_keys=["a", "b", "c"],
        attributes={"title": ["Anna  K", "Ben", ""], "year": ["1999", "", ""], "plot": ["never", "asked", "for"]},
        notes_E=np.array([f"note\n{place}" for place in range(count)], dtype=object) if notes else None,
    )


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 4), st.booleans())
def test_a_request_is_what_came_before(users: list[int], count: int, notes: bool) -> None:
    found = with_requests(_interactions(users, notes), ("title", "year"), count, "test")
    texts = [
        ". ".join(filter(None, [("Anna K. 1999", "Ben", "")[place % 3], f"note {place}" if notes else ""]))
        for place in range(len(users))
    ]
    assert found.requests_E is not None
    assert found.notes_E is None
    for place, user in enumerate(sorted(users)):
        before = [text for text, other in zip(texts[:place], sorted(users), strict=False) if other == user]
        assert found.requests_E[place] == "\n".join(text for text in before[-count:] if text)


def test_unknown_attributes_are_refused() -> None:
    with pytest.raises(InputError, match="attributes must be among title, year, plot, got genres"):
        with_requests(_interactions([0, 0], False), ("genres",), 3, "test")


def test_any_data_set_can_have_them(assets: AssetSource) -> None:
    search = open_search(DataRequest("toy", {"requests_from_previous": 2, "attributes": ["title"]}), assets)
    for user in range(search.num_users):
        titles = [search.titles[item] for item in search.history(user)]
        assert search.valid_requests_U[user] == "\n".join(titles[-2:])
        assert search.requests[int(search.train_offsets[user])] == ""
