"""What final runs say, and how sure one may be of it: spread over seeds, paired tests per user, corrections.

Pure: arrays in, figures out. scipy does the arithmetic. `table` puts the figures side by side. Shape letters:
`S` seeds, `U` users, `C` comparisons, `R` resamples.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchplat.contract import SAMPLED
from searchplat.contract.measures import parse, split_group

FloatArray = NDArray[np.float64]

TestName = Literal["t", "wilcoxon", "bootstrap"]
TESTS: tuple[TestName, ...] = ("t", "wilcoxon", "bootstrap")

RESAMPLES = 10_000
"""Bootstrap resamples by default: a p-value of 0.05 is then known to within about 0.004."""

_CHUNK = 2**24
"""Entries of a resampling matrix that are in memory at once (128 MiB)."""


@dataclass(frozen=True)
class Spread:
    """One figure over several seeds.

    Args:
        mean: The mean.
        sd: Sample standard deviation (n - 1); NaN for one seed.
        low, high: Confidence interval of the mean by Student's t; NaN for one seed.
        count: Seeds.
    """

    mean: float
    sd: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class PairedTests:
    """What was found of the mean difference of some comparisons, per user; all arrays `[C]`.

    Args:
        difference: Mean of `ours - theirs` over users.
        low, high: 95 % percentile interval of it by the bootstrap over users.
        p: Two-sided p-values by test, before any correction.
    """

    difference: FloatArray
    low: FloatArray
    high: FloatArray
    p: dict[TestName, FloatArray]


def spread(values: Sequence[float], confidence: float = 0.95) -> Spread:
    """Mean, standard deviation and confidence interval over seeds.

    Args:
        values: One value a seed, at least one.
        confidence: In (0, 1).

    Raises:
        ValueError: If there are no values, or `confidence` is out of range.

    >>> spread([0.25, 0.5, 0.75]).mean
    0.5
    """
    from scipy import stats

    if not values:
        raise ValueError("values: there must be at least one seed's value, got none; leave unfinished rows out")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: must lie in (0, 1), got {confidence}; 0.95 is usual")
    sample = np.asarray(values, dtype=np.float64)
    mean, count = float(sample.mean()), len(sample)
    if count == 1:
        return Spread(mean, math.nan, math.nan, math.nan, 1)
    sd = float(sample.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * sd / math.sqrt(count)
    return Spread(mean, sd, mean - half, mean + half, count)


def per_user(metric: str, ranks: ArrayLike) -> FloatArray:
    """A metric of every user from the ranks of the user's targets; see `searchplat.contract.measures`.

    Args:
        metric: A measure of targets; `sampled/` or a group before it says of which ranks.
        ranks: `[U]` or `[U, T]`, 0 where a user has fewer than T targets.

    Returns:
        `[U]` values in [0, 1].

    Raises:
        ValueError: If the metric is not known, or a rank is below 1.

    >>> per_user("sampled/ndcg@3", [1, 2, 3, 7]).round(3).tolist()
    [1.0, 0.631, 0.5, 0.0]
    """
    return np.asarray(parse(split_group(metric.removeprefix(SAMPLED))[1]).per_query(ranks), dtype=np.float64)


def user_means(metric: str, ranks_SU: ArrayLike) -> FloatArray:
    """A metric of every user, `[U]`, averaged over seeds.

    Averaged before any test, because the runs of one user with several seeds are not independent: the same target
    after the same history is easy for all of them or hard for all. Taking each (user, seed) for an observation would
    multiply the sample by the number of seeds without adding a single user, and call noise significant. What the
    tests then say is: these trained models differ on users like these. How much training anew would change is
    another question; the spread over seeds beside it answers that.

    Args:
        ranks_SU: `[S, U]` ranks, one row a seed, the same users in the same order; or `[S, U, T]` of several targets.
    """
    ranks = np.asarray(ranks_SU)
    if ranks.ndim not in (2, 3) or not ranks.shape[0]:
        raise ValueError(f"ranks_SU: must be one row a seed, [S, U], got shape {list(ranks.shape)}; stack the seeds")
    means: FloatArray = np.mean([per_user(metric, ranks_U) for ranks_U in ranks], axis=0)
    return means


def paired_tests(differences_CU: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> PairedTests:
    """Test for each comparison whether the mean (t, bootstrap) or the centre (Wilcoxon) of the differences is 0.

    - t: the paired t-test of the papers. With hundreds of users the mean is near enough to normal.
    - Wilcoxon: signed ranks, for whom the few users with large differences weigh less. Ties are split and zeros
      dropped, as usual: where most users have 0 on both sides (recall@10), it is about the others only.
    - Bootstrap: users drawn with replacement; p is the share of resamples whose centred mean is at least as far
      from 0 as the observed one, counting the observed (so never 0). The same resamples serve all comparisons,
      which is valid for each and keeps them comparable.

    Where all differences are 0, all p-values are 1.

    Args:
        differences_CU: `[C, U]` ours less theirs, at least two users.
        resamples: R, >= 1.
        seed: Draws the resamples.

    Raises:
        ValueError: If there are fewer than two users, or a difference is not finite.
    """
    from scipy import stats

    rows = np.atleast_2d(np.asarray(differences_CU, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(f"differences_CU: must be [C, U] with U >= 2, got shape {list(rows.shape)}; give more users")
    if not np.isfinite(rows).all():
        raise ValueError("differences_CU: must be finite, got NaN or infinity; leave users without a value out")
    means_C, low_C, high_C = rows.mean(axis=1), np.zeros(len(rows)), np.zeros(len(rows))
    p = {name: np.ones(len(rows)) for name in TESTS}
    differ = np.abs(rows).max(axis=1, initial=0) > 0
    if differ.any():
        some = rows[differ]
        with warnings.catch_warnings(), np.errstate(divide="ignore"):
            warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)  # a constant difference: p = 0
            p["t"][differ] = stats.ttest_1samp(some, 0.0, axis=1).pvalue
        p["wilcoxon"][differ] = stats.wilcoxon(some, axis=1, method="approx").pvalue
        low_C[differ], high_C[differ], p["bootstrap"][differ] = _bootstrap(some, resamples, seed)
    return PairedTests(means_C, low_C, high_C, p)


def benjamini_hochberg(p_C: ArrayLike) -> FloatArray:
    """Adjusted p-values `[C]`: rejecting those <= q keeps the expected share of false rejections at q.

    Source: Benjamini and Hochberg 1995. Valid for independent and positively dependent tests, as these are, sharing
    users and references.
    """
    from scipy import stats

    p = np.asarray(p_C, dtype=np.float64)
    if not p.size:
        return p
    adjusted: FloatArray = np.asarray(stats.false_discovery_control(p, method="bh"), dtype=np.float64)
    return adjusted


def holm(p_C: ArrayLike) -> FloatArray:
    """Adjusted p-values `[C]`: rejecting those <= a keeps the chance of any false rejection at a, whatever depends.

    Source: Holm 1979: the i-th smallest (from 0) of C is multiplied by C - i, then made monotone and at most 1.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_C, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def _bootstrap(rows_CU: FloatArray, resamples: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Interval and p-value by resampling users; a resample is how often each user was drawn."""
    users = rows_CU.shape[1]
    rng = np.random.default_rng(seed)
    means_RC = np.empty((resamples, len(rows_CU)))
    step = max(1, _CHUNK // users)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = rng.integers(users, size=(stop - start, users))
        drawn += np.arange(stop - start)[:, None] * users
        counts = np.bincount(drawn.ravel(), minlength=(stop - start) * users).reshape(-1, users)
        means_RC[start:stop] = counts @ rows_CU.T / users
    low_C, high_C = np.quantile(means_RC, [0.025, 0.975], axis=0)
    observed_C = rows_CU.mean(axis=1)
    # A little slack, so that resamples which equal the observed mean count as such in spite of rounding.
    reached = np.abs(means_RC - observed_C) >= np.abs(observed_C) * (1 - 1e-12)
    return low_C, high_C, (1 + reached.sum(axis=0)) / (resamples + 1)
