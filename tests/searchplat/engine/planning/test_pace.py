"""How many suggestions to have ready."""

from __future__ import annotations

import pytest

from searchplat.engine.planning.pace import WORTH, Pace


def paced(suggestion: float, trial: float) -> Pace:
    pace = Pace()
    pace.suggested(suggestion)
    pace.ended(trial)
    return pace


def test_nothing_is_computed_ahead_before_anything_is_known() -> None:
    assert Pace().ahead(64) == 0


@pytest.mark.parametrize(
    ("suggestion", "trial", "slots", "ahead"),
    [
        (0.5, 25, 2, 0),  # two of a hundred seconds: the newest result is worth more
        (1, 10, 1, 1),
        (1, 10, 64, 9),  # while one is computed, six or seven slots become free, and sometimes nine
        (0.1, 3, 2, 0),
        (0.1, 3, 64, 4),  # a hundredth of a slot's time, but all slots wait for the same searcher
        (2, 2, 8, 8),  # no more than slots
        (3, 2, 8, 16),  # but where even that is too few
        (1, 0, 4, 8),
    ],
)
def test_as_many_as_slots_become_free_during_one(suggestion: float, trial: float, slots: int, ahead: int) -> None:
    assert paced(suggestion, trial).ahead(slots) == ahead


@pytest.mark.parametrize(
    ("suggestion", "trial", "slots", "together"),
    [(0.5, 25, 2, 1), (1, 10, 1, 1), (1, 10, 64, 20), (0.1, 3, 64, 7), (2, 2, 8, 16), (60, 2, 8, 16)],
)
def test_a_searcher_of_several_at_once_computes_for_a_third_of_the_time(
    suggestion: float, trial: float, slots: int, together: int
) -> None:
    assert paced(suggestion, trial).at_once(slots) == together


def test_one_slow_suggestion_changes_nothing() -> None:
    pace = paced(0.01, 10)
    for seconds in (0.01, 60, 0.01):
        pace.suggested(seconds)
    assert pace.ahead(8) == 0
    assert WORTH > 0.01 / 10
