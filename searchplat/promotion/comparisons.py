"""Comparisons per user between runs of two configurations, made together so that they are corrected together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchplat.contract import SAMPLED, SAMPLED_RANKS, group_ranks_file
from searchplat.contract.measures import of_targets, split_group
from searchplat.errors import InputError
from searchplat.promotion.record import PromotionRun
from searchplat.promotion.statistics import TESTS, TestName, benjamini_hochberg, holm, paired_tests, user_means

Ranks = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Comparison:
    """One configuration against a reference, on one metric.

    Args:
        reference: The reference's label.
        difference: Mean of `this - reference` over users.
        low, high: 95 % bootstrap interval of it.
        p, bh, holm: Two-sided p-values by test: plain, corrected by Benjamini-Hochberg, and by Holm, over all
            comparisons that were made together.
        users: Users on whom it was tested.
    """

    reference: str
    difference: float
    low: float
    high: float
    p: Mapping[TestName, float]
    users: int
    bh: Mapping[TestName, float] = field(default_factory=dict)
    holm: Mapping[TestName, float] = field(default_factory=dict)


def ranks_file(run: PromotionRun, metric: str) -> Path | None:
    """Where the ranks lie that a metric is made of; None if it is made of none, or the run has not got them."""
    group, name = split_group(metric)
    if run.ranks is None or not of_targets(name.removeprefix(SAMPLED)):
        return None
    if group is None and not name.startswith(SAMPLED):
        return run.ranks
    if group is None:
        return run.ranks.with_name(SAMPLED_RANKS) if metric in run.test else None
    path = run.ranks.with_name(group_ranks_file(group))
    return path if path.exists() else None  # figures of groups come unasked, their ranks do not


def read_ranks(run: PromotionRun, path: Path) -> Ranks:
    """A run's ranks `[U]`, from one of its files.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        ranks: Ranks = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: the ranks of {run.candidate} cannot be read ({error}); promote its search again"
        ) from error
    return ranks


class Pending:
    """Comparisons that wait to be made.

    Args:
        read: Gives a run's ranks `[U]` from a file.
    """

    def __init__(self, read: Callable[[PromotionRun, Path], Ranks] = read_ranks) -> None:
        self._read = read
        self._kept: dict[Path, Ranks] = {}
        self._wanted: list[tuple[Hashable, str, NDArray[np.float64]]] = []

    def add(
        self, key: Hashable, reference: str, ours: Sequence[PromotionRun], theirs: Sequence[PromotionRun], metric: str
    ) -> None:
        """Ask for a comparison of two configurations, each by its runs over seeds; numbers of seeds may differ.

        Without ranks, or with fewer than two users, there is nothing to compare, and nothing will be found.

        Args:
            key: Under which `run` returns it, with others of the same key in the order in which they were asked for.

        Raises:
            InputError: If the two were not tested on as many users.
        """
        found = [self._means(runs, metric) for runs in (ours, theirs)]
        if found[0] is None or found[1] is None or len(found[0]) < 2:
            return
        if len(found[0]) != len(found[1]):
            raise InputError(
                f"{ours[0].candidate} has the ranks of {len(found[0])} users, but {reference} those of "
                f"{len(found[1])}: only the same users can be compared; promote both searches again"
            )
        self._wanted.append((key, reference, found[0] - found[1]))

    def run(self, resamples: int) -> dict[Hashable, tuple[Comparison, ...]]:
        """Make all comparisons and correct them as one family."""
        count = len(self._wanted)
        p: dict[TestName, NDArray[np.float64]] = {name: np.ones(count) for name in TESTS}
        figures = np.zeros((count, 3))
        sizes = np.array([len(differences) for _, _, differences in self._wanted], dtype=np.int64)
        for users in np.unique(sizes):  # those on the same number of users share their resamples
            rows = np.flatnonzero(sizes == users)
            tests = paired_tests(np.stack([self._wanted[row][2] for row in rows]), resamples=resamples)
            figures[rows] = np.stack([tests.difference, tests.low, tests.high], axis=1)
            for name in TESTS:
                p[name][rows] = tests.p[name]
        by_bh = {name: benjamini_hochberg(p[name]) for name in TESTS}
        by_holm = {name: holm(p[name]) for name in TESTS}
        found: dict[Hashable, tuple[Comparison, ...]] = {}
        for i, (key, reference, _) in enumerate(self._wanted):
            one = Comparison(
                reference,
                difference=float(figures[i, 0]),
                low=float(figures[i, 1]),
                high=float(figures[i, 2]),
                p={name: float(p[name][i]) for name in TESTS},
                users=int(sizes[i]),
                bh={name: float(by_bh[name][i]) for name in TESTS},
                holm={name: float(by_holm[name][i]) for name in TESTS},
            )
            found[key] = (*found.get(key, ()), one)
        return found

    def _means(self, runs: Iterable[PromotionRun], metric: str) -> NDArray[np.float64] | None:
        files = [(run, path) for run in runs if (path := ranks_file(run, metric)) is not None]
        return user_means(metric, np.stack([self._ranks(run, path) for run, path in files])) if files else None

    def _ranks(self, run: PromotionRun, path: Path) -> Ranks:
        if path not in self._kept:
            self._kept[path] = self._read(run, path)
        return self._kept[path]
