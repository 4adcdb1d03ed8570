from __future__ import annotations

import doctest

import numpy as np

from searchplat.promotion import race
from searchplat.promotion.race import beaten


def test_examples_of_the_documentation() -> None:
    assert doctest.testmod(race).failed == 0


def test_nobody_stops_before_there_is_something_to_compare() -> None:
    assert beaten({}, 3) == []
    assert beaten({"a": []}, 3) == []
    assert beaten({"a": [0.9], "b": []}, 3) == []


def test_less_is_better_where_it_is_minimised() -> None:
    assert beaten({"a": [0.1, 0.2], "b": [0.9, 0.8]}, 3, maximize=False) == ["b"]


def test_equal_scores_stay_in() -> None:
    assert beaten({"a": [0.5, 0.5], "b": [0.5, 0.5]}, 3) == []


def test_a_lucky_first_seed_does_not_decide() -> None:
    assert beaten({"lucky": [0.9], "good": [0.5]}, 3) == []


def test_who_stops_could_not_have_won_with_any_scores_within_what_was_seen() -> None:
    """By brute force: the open scores drawn many times from the range of those seen."""
    rng = np.random.default_rng(0)
    stopped = 0
    for _ in range(200):
        seeds = int(rng.integers(2, 6))
        scores = {name: list(rng.normal(rng.normal(), 0.3, rng.integers(1, seeds))) for name in "abc"}
        for name in beaten(scores, seeds):
            stopped += 1
            highest = max(value for values in scores.values() for value in values)
            for _ in range(20):
                means = {
                    other: np.mean([*values, *rng.uniform(min(values), highest, seeds - len(values))])
                    for other, values in scores.items()
                }
                assert means[name] < max(means.values())
    assert stopped > 20


def test_who_is_ahead_in_one_of_several_objectives_stays_in() -> None:
    scores = {"a": [(0.9, 5.0), (0.9, 5.0)], "b": [(0.1, 1.0), (0.1, 1.0)], "c": [(0.1, 7.0), (0.1, 7.0)]}
    assert beaten(scores, 3, maximize=(True, False)) == []
    assert beaten(scores, 2, maximize=(True, False)) == []  # nobody is stopped who has run all
    scores = {name: values * 2 for name, values in scores.items()}
    assert beaten(scores, 5, maximize=(True, False)) == ["c"]
    assert beaten({name: [v[0] for v in values] for name, values in scores.items()}, 5) == ["b", "c"]
