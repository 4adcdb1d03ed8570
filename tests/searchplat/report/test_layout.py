"""Effects of bits against known ones."""

from __future__ import annotations

import numpy as np
import pytest

from searchplat.report.layout import estimate


def test_regression_finds_the_effects_that_made_the_scores() -> None:
    rng = np.random.default_rng(0)
    bits_TB = rng.integers(0, 2, size=(60, 6))
    true_B = np.array([0.5, -0.3, 0.0, 0.0, 0.2, 0.0])
    scores_T = 1.0 + bits_TB @ true_B + rng.normal(0, 0.02, size=60)
    found = estimate(bits_TB, scores_T, (2, 3))
    assert found.estimator == "regression"
    assert found.effects_LR.ravel() == pytest.approx(true_B, abs=0.03)
    assert np.all(found.errors_LR < 0.01)
    assert found.clear_LR.ravel()[[0, 1, 4]].all()


def test_the_95_percent_intervals_hold_95_percent_of_the_time() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        bits_TB = rng.integers(0, 2, size=(20, 4))
        wrong += int(estimate(bits_TB, rng.normal(size=20), (2, 2)).clear_LR.sum())
    assert 0.025 < wrong / 800 < 0.085


def test_few_trials_get_differences_of_means() -> None:
    bits_TB = np.array([[0, 0, 1, 0], [1, 0, 1, 1], [1, 0, 1, 0], [0, 0, 1, 1], [1, 0, 1, 1]])
    scores_T = np.array([1.0, 3.0, 4.0, 2.0, 5.0])
    found = estimate(bits_TB, scores_T, (2, 2))
    assert found.estimator == "difference"
    assert found.effects_LR[0, 0] == pytest.approx(4.0 - 1.5)
    assert found.errors_LR[0, 0] == pytest.approx(np.sqrt(1.0 / 3 + 0.5 / 2))
    assert np.isnan(found.effects_LR[0, 1])  # nobody differs in it
    assert np.isnan(found.effects_LR[1, 0])
    assert not found.clear_LR[0, 1]


def test_a_bit_that_one_trial_alone_has_gets_no_error() -> None:
    found = estimate(np.array([[1], [0], [0]]), np.array([2.0, 1.0, 1.5]), (1, 1))
    assert found.effects_LR[0, 0] == pytest.approx(0.75)
    assert np.isnan(found.errors_LR[0, 0])
    assert not found.clear_LR[0, 0]


def test_equal_scores_have_no_clear_effect() -> None:
    bits_TB = np.random.default_rng(2).integers(0, 2, size=(30, 4))
    assert not estimate(bits_TB, np.full(30, 0.1), (2, 2)).clear_LR.any()
