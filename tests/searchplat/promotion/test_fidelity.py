from __future__ import annotations

import math

import pytest
from scipy import stats

from searchplat.promotion.fidelity import rank_fidelity


def test_tau_is_scipys_over_those_with_both_scores() -> None:
    search = {"trial-1": 0.3, "trial-2": 0.2, "default": 0.1, "random": 0.05, "only-searched": 0.9}
    final = {"trial-1": 0.31, "trial-2": 0.33, "default": 0.2, "random": 0.21, "only-final": 0.5, "failed": math.nan}
    found = rank_fidelity(search, final, maximize=True)
    assert found.candidates == ("trial-2", "trial-1", "random", "default")
    wanted = stats.kendalltau([0.2, 0.3, 0.05, 0.1], [0.33, 0.31, 0.21, 0.2])
    assert (found.tau, found.p) == pytest.approx((wanted.statistic, wanted.pvalue))


def test_perfect_and_reversed_order() -> None:
    scores = {name: float(i) for i, name in enumerate("abcd")}
    assert rank_fidelity(scores, scores, True).tau == pytest.approx(1)
    assert rank_fidelity(scores, {name: -value for name, value in scores.items()}, True).tau == pytest.approx(-1)
    assert rank_fidelity(scores, scores, False).candidates == ("a", "b", "c", "d")


def test_ties_count_for_neither_order() -> None:
    found = rank_fidelity({"a": 1, "b": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}, True)
    assert found.tau == pytest.approx(2 / math.sqrt(6))  # tau-b: two concordant of three pairs, one tied


@pytest.mark.parametrize("scores", [{}, {"a": 1.0}, {"a": 1.0, "b": 1.0}])
def test_too_little_to_order_has_no_tau(scores: dict[str, float]) -> None:
    found = rank_fidelity(scores, scores, True)
    assert math.isnan(found.tau)
    assert math.isnan(found.p)
