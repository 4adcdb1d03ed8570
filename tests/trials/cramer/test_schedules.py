from __future__ import annotations

import doctest
from typing import get_args

import pytest

from trials.cramer import schedules
from trials.cramer.schedules import Course, temperature


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(schedules).failed == 0


@pytest.mark.parametrize("course", get_args(Course))
def test_a_course_goes_from_its_start_to_its_end_and_never_back(course: Course) -> None:
    taus = [temperature(step / 100, 0.7, 0.3, course) for step in range(101)]
    assert taus[0] == pytest.approx(0.7)
    assert taus[-1] == pytest.approx(0.3)
    assert taus == sorted(taus, reverse=True)


def test_the_cosine_stays_longest_near_its_ends_and_the_exponential_falls_first() -> None:
    early = {course: temperature(0.1, 0.7, 0.3, course) for course in get_args(Course)}
    assert early["exponential"] < early["linear"] < early["cosine"]
