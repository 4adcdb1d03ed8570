from __future__ import annotations

import doctest
from itertools import pairwise

import pytest

from trials.training import schedule
from trials.training.schedule import rate_factor


def test_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(schedule).failed == 0


def test_warm_up_rises_to_the_peak_and_cosine_falls_from_it() -> None:
    factors = [rate_factor(step, 100, 0.06, "cosine") for step in range(100)]
    assert factors[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert factors[6] == 1
    assert factors[53] == pytest.approx(0.5)
    assert all(a >= b > 0 for a, b in pairwise(factors[6:]))


def test_constant_stays_and_no_warm_up_starts_at_the_peak() -> None:
    assert {rate_factor(step, 10, 0, "constant") for step in range(10)} == {1.0}


def test_steps_beyond_the_plan_have_the_last_rate_at_least_zero() -> None:
    assert rate_factor(12, 10, 0.5, "linear") == 0
    assert rate_factor(0, 1, 0.99, "cosine") == 1
