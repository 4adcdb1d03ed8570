"""Ids are taken as they are written, and refused where somebody would take two for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.errors import DataError
from trials.data.reading.ids import Ids, refuse_alike

ONE, TWO = Path("one"), Path("two")


def test_ids_are_numbered_as_they_come_and_know_their_first_line() -> None:
    ids = Ids("item")
    assert [ids.code(ONE, line, name) for line, name in enumerate("abac", start=1)] == [0, 1, 0, 2]
    assert ids.code(TWO, 7, "d") == 3
    assert ids.names == ["a", "b", "c", "d"]
    assert [ids.place(name) for name in ids.names] == ["one:1", "one:2", "one:4", "two:7"]
    assert (len(ids), "a" in ids, "e" in ids) == (4, True, False)


@pytest.mark.parametrize(
    "name", ["", " 1", "1 ", "1\t", "\u00a01", "1\u200b", "\ufeff1", "a\u2028b", '"1"', '1"', "'1'", "a\x07", "\ud800"]
)
def test_what_is_no_id(name: str) -> None:
    with pytest.raises(DataError, match=r"^one:3 user id must .*, got '.*'\.$|^one:3 user id must .*, got \".*\"\.$"):
        Ids("user").code(ONE, 3, name)


@pytest.mark.parametrize("name", ["0", "007", "B00X", "é", "L'Avventura", "a b", "-3", "1.5", "搞笑", "x" * 300])
def test_what_is_one(name: str) -> None:
    assert Ids("user").code(ONE, 3, name) == 0


@pytest.mark.parametrize(
    ("name", "other"),
    [("1", "1.0"), ("1", "1."), ("7", "007"), ("5", "+5"), ("0", "-0"), ("3", "３"), ("é", "e\u0301")],
)
def test_two_ways_to_write_an_id_are_refused_in_one_file_and_in_two(name: str, other: str) -> None:
    for first, second in ((name, other), (other, name)):
        match = r"^two:9 item .* must be written as everywhere, but one:4 has .*; write both alike\.$"
        one, two = Ids.of("item", ONE, [first], [4]), Ids.of("item", TWO, [second], [9])
        with pytest.raises(DataError, match=match):
            refuse_alike(one, two)
        with pytest.raises(DataError, match=match):
            one.refuse_like(TWO, 9, second)


@pytest.mark.parametrize(
    ("name", "other"), [("1", "10"), ("1", "-1"), ("1.5", "1"), ("a", "A"), ("1", "1.01"), ("a1", "a01")]
)
def test_what_differs_is_left_alone(name: str, other: str) -> None:
    refuse_alike(Ids.of("item", ONE, [name, other], [1, 2]), Ids.of("item", TWO, [name], [1]))
    Ids.of("item", ONE, [name], [1]).refuse_like(TWO, 1, other)


@given(st.lists(st.integers(), unique=True))
def test_whole_numbers_are_never_alike(numbers: list[int]) -> None:
    refuse_alike(Ids.of("item", ONE, [str(number) for number in numbers], range(1, len(numbers) + 1)))
