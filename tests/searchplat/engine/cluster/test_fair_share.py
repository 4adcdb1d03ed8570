"""How searches share a cluster: evenly, but to nobody more than he can use."""

from __future__ import annotations

import doctest
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.engine.cluster import fair_share
from searchplat.engine.cluster.fair_share import Board, even_parts, slots_of
from searchplat.engine.cluster.growth import Shape

SMALL: Shape = (("CPU", 1.0),)
LARGE: Shape = (("CPU", 4.0), ("GPU", 1.0))


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(fair_share).failed == 0


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(1, 64))
def test_nothing_is_shared_out_twice_and_nothing_wanted_is_left_over(wanted: list[float], fit: int) -> None:
    parts = even_parts(wanted)
    assert all(part <= want + 1e-9 for part, want in zip(parts, wanted, strict=True))
    assert sum(parts) == pytest.approx(min(1.0, sum(wanted)))
    slots = [slots_of(sum(parts[:place]), part, fit) for place, part in enumerate(parts)]
    assert min(slots) == 1 or min(slots) > 1
    assert sum(slots) <= fit + slots.count(1), "each may have one, which Ray lets wait where there is no room"


@given(st.integers(1, 8), st.integers(8, 64))
def test_searches_that_want_all_differ_by_one_slot_at_most(searches: int, fit: int) -> None:
    parts = even_parts([1.0] * searches)
    slots = [slots_of(sum(parts[:place]), part, fit) for place, part in enumerate(parts)]
    assert sum(slots) == fit
    assert max(slots) - min(slots) <= 1


def test_a_board_knows_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(fair_share.time, "monotonic", lambda: now)
    board = Board()
    assert board.part("first", 1.0) == (0, 1.0)
    assert board.part("second", 1.0) == (0.5, 0.5)
    assert board.part("first", 0.1) == (0, 0.1), "what it cannot use any more"
    assert board.part("second", 1.0) == (0.1, 0.9)
    board.leave("first")
    assert board.part("second", 1.0) == (0, 1.0)
    board.part("third", 1.0)
    now = 111.0
    assert board.part("third", 1.0) == (0, 1.0), "the second has not been heard of for too long"


def test_the_board_adds_up_what_searches_wish_for_and_forgets_who_leaves_or_falls_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(fair_share.time, "monotonic", lambda: now)
    board = Board()
    assert not board.wished()
    board.part("first", 1.0, Counter({SMALL: 3}))
    board.part("second", 1.0, Counter({SMALL: 2, LARGE: 1}))
    board.part("promotion", 1.0)
    assert board.wished() == {SMALL: 5, LARGE: 1}
    board.part("first", 1.0, Counter({SMALL: 1}))
    assert board.wished() == {SMALL: 3, LARGE: 1}
    board.leave("second")
    assert board.wished() == {SMALL: 1}
    now = 111.0
    assert not board.wished()
