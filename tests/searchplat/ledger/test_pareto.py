"""Fronts and their representatives: against BoTorch, by brute force, and whatever the units."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest

from searchplat.ledger import pareto

SHAPES = [(1, 2), (2, 2), (7, 2), (30, 2), (30, 3), (12, 4)]
SEEDS = range(3)


def points(seed: int, shape: tuple[int, int]) -> pareto.Gains:
    """Points of which some are equal, and some equal in one objective."""
    return np.random.default_rng(seed).integers(0, 6, shape).astype(np.float64)


def test_examples_of_the_documentation() -> None:
    assert doctest.testmod(pareto).failed == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_fronts_and_volumes_are_those_of_botorch(seed: int, shape: tuple[int, int]) -> None:
    import torch
    from botorch.utils.multi_objective.hypervolume import Hypervolume
    from botorch.utils.multi_objective.pareto import is_non_dominated

    gains_NJ = points(seed, shape)
    front = pareto.front(gains_NJ)
    assert front == np.flatnonzero(is_non_dominated(torch.tensor(gains_NJ), deduplicate=False).numpy()).tolist()
    theirs = Hypervolume(torch.zeros(shape[1], dtype=torch.float64)).compute(torch.tensor(gains_NJ[front]))
    assert pareto.volume(gains_NJ) == pytest.approx(theirs)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_takes_front_after_front_and_the_greedy_choice_within_each(seed: int, shape: tuple[int, int]) -> None:
    gains_NJ = points(seed, shape)
    whole = pareto.order(gains_NJ)
    assert sorted(whole) == list(range(len(gains_NJ)))
    for most in (1, 2, 5):
        assert pareto.order(gains_NJ, most) == whole[:most]
    assert [pareto.place(gains_NJ, row) for row in whole] == list(range(len(whole)))
    for place, row in enumerate(whole):
        later = whole[place + 1 :]
        assert not any(pareto.dominates(gains_NJ[other], gains_NJ[row]) for other in later)
    front = pareto.front(gains_NJ)
    gains_FJ = gains_NJ[front]
    low_J, range_J = gains_FJ.min(0), np.ptp(gains_FJ, axis=0)
    scaled_FJ = (gains_FJ - low_J) / np.where(range_J > 0, range_J, 1) + 0.1
    chosen: list[int] = []
    for row in pareto.representatives(gains_FJ):
        sizes = [pareto.volume(scaled_FJ[[*chosen, other]]) for other in range(len(front)) if other not in chosen]
        chosen.append(row)
        assert pareto.volume(scaled_FJ[chosen]) == pytest.approx(max(sizes))
    assert [front[row] for row in chosen] == whole[: len(front)]


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1e-9, 1e6), (1e150, 1e-150), (3.0, 0.25)])
def test_units_and_dominated_points_do_not_matter(factors: tuple[float, float]) -> None:
    gains_NJ = np.random.default_rng(5).random((40, 2))
    order = pareto.order(gains_NJ, 6)
    assert pareto.order(gains_NJ * factors, 6) == order
    front = pareto.front(gains_NJ)
    outlier = gains_NJ.min(0) - 1e9
    assert pareto.order(np.vstack([gains_NJ, outlier]), len(front)) == pareto.order(gains_NJ, len(front))


def test_equal_points_share_a_front_and_one_of_them_stands_for_all() -> None:
    gains_NJ = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    assert pareto.front(gains_NJ) == [0, 1, 2, 3]
    assert pareto.order(gains_NJ)[-1] == 2


def test_the_largest_numbers_overflow_nothing() -> None:
    top = np.finfo(np.float64).max
    assert pareto.order(np.array([[-top, top], [top, -top], [top, top]])) == [2, 1, 0]
    assert sorted(pareto.order(np.array([[-top, top], [top, -top], [0.0, 0.0]]))) == [0, 1, 2]


def test_a_front_of_hundreds_is_ordered_by_the_first_objective_behind_the_first_fifty() -> None:
    angles = np.random.default_rng(0).uniform(0, np.pi / 2, 300)
    gains_NJ = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    order = pareto.order(gains_NJ)
    rest = gains_NJ[order[pareto.MOST :], 0]
    assert (np.diff(rest) <= 0).all()
    assert order[:7] == pareto.order(gains_NJ, 7)


def test_the_first_few_of_a_front_are_nearly_the_best_few() -> None:
    """The greedy choice has at least 1 - 1/e of the volume of the best one; here far more."""
    angles = np.random.default_rng(1).uniform(0, np.pi / 2, 12)
    gains_NJ = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.1
    greedy = pareto.volume(gains_NJ[pareto.order(gains_NJ, 3)])
    best = max(pareto.volume(gains_NJ[list(three)]) for three in itertools.combinations(range(12), 3))
    assert greedy > 0.95 * best
