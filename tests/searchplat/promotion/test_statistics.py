"""Against scipy's own tests one comparison at a time, known effects, and no effect a thousand times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from searchplat.promotion.statistics import (
    TESTS,
    benjamini_hochberg,
    holm,
    paired_tests,
    per_user,
    spread,
    user_means,
)
from trials.training.measures.metrics import parse


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for a test, whichever tests ran before it in its process."""
    return np.random.default_rng(0)


def test_the_spread_is_that_of_scipy() -> None:
    values = [0.11, 0.13, 0.10, 0.16, 0.12]
    found = spread(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.sd, found.count) == (np.mean(values), pytest.approx(np.std(values, ddof=1)), 5)


def test_one_seed_has_no_spread() -> None:
    found = spread([0.2])
    assert found.mean == 0.2
    assert all(math.isnan(value) for value in (found.sd, found.low, found.high))


def test_a_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one seed's value"):
        spread([])
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), got 95"):
        spread([1.0], confidence=95)


@pytest.mark.parametrize("metric", ["mrr", "mrr@5", "recall@1", "recall@10", "ndcg@10"])
def test_metrics_per_user_are_those_of_training(metric: str, rng: np.random.Generator) -> None:
    ranks = rng.integers(1, 40, size=200)
    np.testing.assert_array_equal(per_user(metric, ranks), parse(metric).per_query(ranks))


def test_metrics_say_what_they_cannot_read() -> None:
    with pytest.raises(ValueError, match="metric 'auc' is not known"):
        per_user("auc", [1])
    with pytest.raises(ValueError, match="ranks start at 1, got 0"):
        per_user("mrr", [0, 1])
    with pytest.raises(ValueError, match="one row a seed"):
        user_means("mrr", [1, 2])


def test_seeds_are_averaged_before_any_test() -> None:
    np.testing.assert_allclose(user_means("mrr", [[1, 4], [2, 4]]), [0.75, 0.25])


def test_copies_of_a_seed_do_not_make_a_difference_more_certain(rng: np.random.Generator) -> None:
    ours, theirs = rng.integers(1, 50, size=(2, 60))
    once = paired_tests(user_means("mrr", [ours]) - user_means("mrr", [theirs]), resamples=500)
    thrice = paired_tests(user_means("mrr", [ours] * 3) - user_means("mrr", [theirs] * 3), resamples=500)
    for name in TESTS:
        assert thrice.p[name] == pytest.approx(once.p[name])


def test_t_and_wilcoxon_are_scipys(rng: np.random.Generator) -> None:
    ours, theirs = rng.random((2, 7, 90))
    found = paired_tests(ours - theirs, resamples=10)
    for c in range(7):
        assert found.p["t"][c] == pytest.approx(stats.ttest_rel(ours[c], theirs[c]).pvalue)
        wanted = stats.wilcoxon(ours[c], theirs[c], method="approx").pvalue
        assert found.p["wilcoxon"][c] == pytest.approx(wanted)


def test_wilcoxon_with_many_ties_is_scipys(rng: np.random.Generator) -> None:
    ours, theirs = (user_means("recall@10", rng.integers(1, 30, size=(3, 200))) for _ in range(2))
    found = paired_tests(ours - theirs, resamples=10)
    assert found.p["wilcoxon"][0] == pytest.approx(stats.wilcoxon(ours, theirs, method="approx").pvalue)


def test_the_bootstrap_agrees_with_scipys_interval_and_with_t_in_a_large_sample(rng: np.random.Generator) -> None:
    differences = rng.normal(0.03, 0.25, size=400)
    found = paired_tests(differences, resamples=20_000)
    wanted = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.low[0] == pytest.approx(wanted.low, abs=0.001)
    assert found.high[0] == pytest.approx(wanted.high, abs=0.001)
    assert found.p["bootstrap"][0] == pytest.approx(found.p["t"][0], abs=0.01)


def test_the_bootstrap_is_the_same_for_the_same_seed_and_in_chunks(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    differences = rng.normal(size=(3, 50))
    whole = paired_tests(differences, resamples=400, seed=5)
    monkeypatch.setattr("searchplat.promotion.statistics._CHUNK", 50 * 7)
    np.testing.assert_array_equal(whole.p["bootstrap"], paired_tests(differences, resamples=400, seed=5).p["bootstrap"])


def test_a_known_effect_is_found_as_often_as_theory_says(rng: np.random.Generator) -> None:
    # d = 0.3 and 100 users: the two-sided t-test has a power of 0.84 (noncentral t).
    found = paired_tests(rng.normal(0.3, 1.0, size=(500, 100)), resamples=500)
    critical, shift = stats.t.ppf(0.975, 99), 0.3 * math.sqrt(100)
    power = stats.nct.sf(critical, 99, shift) + stats.nct.cdf(-critical, 99, shift)
    assert np.mean(found.p["t"] <= 0.05) == pytest.approx(power, abs=0.05)
    assert np.mean(found.p["wilcoxon"] <= 0.05) > power - 0.08
    assert np.mean(found.p["bootstrap"] <= 0.05) == pytest.approx(power, abs=0.07)
    assert np.mean(found.difference) == pytest.approx(0.3, abs=0.02)
    assert np.mean((found.low <= 0.3) & (found.high >= 0.3)) == pytest.approx(0.95, abs=0.03)


def test_equal_rows_differ_by_nothing_and_a_constant_difference_is_certain() -> None:
    found = paired_tests(np.stack([np.zeros(30), np.full(30, 0.1)]), resamples=999)
    for name in TESTS:
        assert found.p[name][0] == 1
        assert found.p[name][1] < 0.002


@pytest.mark.parametrize("bad", [np.zeros((2, 1)), np.array([[0.1, np.nan]])])
def test_differences_that_cannot_be_tested_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="differences_CU: must be"):
        paired_tests(bad)


def test_corrections_by_their_worked_examples() -> None:
    # Benjamini and Hochberg 1995, section 3.2: fifteen p-values, of which their procedure rejects the first four.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0]  # fmt: skip
    assert int((benjamini_hochberg(p) <= 0.05).sum()) == 4
    assert int((holm(p) <= 0.05).sum()) == 3
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_holm_is_the_step_down_procedure(rng: np.random.Generator) -> None:
    for _ in range(50):
        p = rng.random(12) ** 3
        rejected, alpha = np.zeros(12, dtype=bool), 0.05
        for i, c in enumerate(np.argsort(p)):
            if p[c] > alpha / (12 - i):
                break
            rejected[c] = True
        np.testing.assert_array_equal(holm(p) <= alpha, rejected)
        assert (holm(p) >= benjamini_hochberg(p)).all()


def test_corrections_of_nothing_are_nothing() -> None:
    assert holm([]).size == benjamini_hochberg([]).size == 0


def null_differences(families: int, size: int, users: int) -> np.ndarray:
    """Ranks from one distribution for all, three seeds, differences to one common reference: `[families * size, U]`."""
    rng = np.random.default_rng(20)
    ease = rng.gamma(2.0, 8.0, size=(families, 1, 1, users))  # users differ, configurations do not
    ranks = 1 + rng.poisson(ease, size=(families, size + 1, 3, users))
    values = (1 / ranks).mean(axis=2)
    differences: np.ndarray = (values[:, 1:] - values[:, :1]).reshape(families * size, users)
    return differences


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("correct", [benjamini_hochberg, holm])
def test_without_an_effect_at_most_5_percent_are_rejected(
    null_p: dict[str, np.ndarray], name: str, correct: object
) -> None:
    """1,000 families of four comparisons with one reference: any rejection in a family is a false one."""
    adjusted = np.stack([correct(family) for family in null_p[name].reshape(1000, 4)])  # type: ignore[operator]
    wrong = int((adjusted <= 0.05).any(axis=1).sum())
    assert wrong <= stats.binom.ppf(0.999, 1000, 0.05)
    # And as one family of 4,000: hardly any.
    assert np.mean(correct(null_p[name]) <= 0.05) <= 0.05  # type: ignore[operator]


@pytest.fixture(scope="module")
def null_p() -> dict[str, np.ndarray]:
    return dict(paired_tests(null_differences(1000, 4, 150), resamples=2000).p)


@pytest.mark.parametrize("name", TESTS)
def test_without_an_effect_or_a_correction_5_percent_are_rejected(null_p: dict[str, np.ndarray], name: str) -> None:
    first = null_p[name].reshape(1000, 4)[:, 0]  # one of each family: independent
    assert stats.binom.ppf(0.001, 1000, 0.05) <= (first <= 0.05).sum() <= stats.binom.ppf(0.999, 1000, 0.05)
