from __future__ import annotations

import doctest

import numpy as np
import pytest

from trials.training.rows import windows as module
from trials.training.rows.windows import rows_of, windows


def test_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("max_length", [1, 2, 5, 100])
def test_every_item_but_the_first_is_a_target_once(max_length: int) -> None:
    lengths = [1, 2, 3, 6, 7, 11, 0, 40]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    targets = [t for first, stop in windows(offsets, max_length, max_length).tolist() for t in range(first + 1, stop)]
    expected = [t for u in range(len(lengths)) for t in range(offsets[u] + 1, offsets[u + 1])]
    assert sorted(targets) == expected


def test_overlapping_windows_stay_within_a_sequence_and_reach_its_end() -> None:
    found = windows(np.array([0, 10, 15]), max_length=4, stride=2).tolist()
    assert found == [[5, 10], [3, 8], [1, 6], [0, 4], [10, 15]]


def test_items_left_out_at_the_end_are_in_no_window() -> None:
    found = windows(np.array([0, 10, 12]), max_length=4, stride=4, skip_U=np.array([3, 0])).tolist()
    assert found == [[2, 7], [0, 3], [10, 12]]


def test_windows_as_ragged_rows() -> None:
    rows = rows_of(np.arange(100, 110), np.array([[4, 8], [0, 2]]))
    assert rows.items.tolist() == [104, 105, 106, 107, 100, 101]
    assert rows.offsets.tolist() == [0, 4, 6]
    assert rows.users_B.tolist() == [-1, -1]
