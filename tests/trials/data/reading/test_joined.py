"""Two files that do not know the same items, and interactions that stand there twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.errors import DataError
from trials.data.reading.ids import Ids
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import join_items, looked_over

RATINGS, MOVIES = Path("ratings.dat"), Path("movies.dat")


def test_items_that_only_one_file_has_are_counted() -> None:
    met = Ids.of("item", RATINGS, ["7", "1", "9"], [3, 4, 8])
    known = Ids.of("item", MOVIES, ["1", "2", "3"], [1, 2, 3])
    found = join_items(met, np.array([0, 1, 0, 2]), known, {"title": ["a", "b", "c"]}, MOVIES)
    assert found.keys == ["1", "2", "3", "7", "9"]
    assert found.items_E.tolist() == [3, 0, 3, 4]
    assert found.attributes == {"title": ["a", "b", "c", "", ""]}
    assert found.unmet == 2
    assert found.warnings == (
        "movies.dat: has no line for 2 of 3 items with 3 interactions, '7' (ratings.dat:3) the first; they stay, "
        "without attributes",
    )


def test_files_without_a_common_item_are_refused() -> None:
    met, known = Ids.of("item", RATINGS, ["7"], [3]), Ids.of("item", MOVIES, ["a"], [1])
    with pytest.raises(
        DataError, match=r"^ratings\.dat:3 item '7' must be in movies\.dat, which has none of the 1 items; check"
    ):
        join_items(met, np.array([0]), known, {}, MOVIES)
    assert join_items(met, np.array([0]), Ids("item"), {}).keys == ["7"]  # no item file, no rule


def test_repeated_interactions_are_counted_where_times_tell(tmp_path: Path) -> None:
    users, items = np.array([0, 0, 0, 1, 0]), np.array([0, 0, 0, 0, 1])
    found = Interactions(users, items, None, np.array([5.0, 5.0, 6.0, 5.0, 5.0]), ["a", "b"])
    (warning,) = looked_over(found, ()).warnings
    assert warning.startswith("1 of 5 interactions repeat another of the same user with the same item at the same time")
    assert looked_over(Interactions(users, items, None, None, ["a", "b"]), ()).warnings == ()


def test_a_file_that_breaks_off_in_a_line_is_told_of_and_one_without_interactions_refused(tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_bytes(b"1::2::3::4")
    found = Interactions(np.array([0]), np.array([0]), None, None, ["a"])
    assert looked_over(found, [path]).warnings == (
        "ratings.dat: its last line has no line end; if the file was cut off there, get it again",
    )
    path.write_bytes(b"1::2::3::4\n")
    assert looked_over(found, [path]).warnings == ()
    none = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64), None, None, [])
    with pytest.raises(DataError, match=r"ratings\.dat:1 must hold interactions, got none"):
        looked_over(none, [path])
