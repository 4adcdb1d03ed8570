from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trials.rearank.grpo import advantages, divergence, ndcg, rewards, surrogate


def test_a_reward_is_the_relative_gain_in_ndcg_with_tags_and_form() -> None:
    orders = np.array([[[2, 0, 1], [0, 2, 1], [0, 1, 2]], [[0, 1, 2], [1, 0, 2], [1, 2, 0]]])
    found, best = rewards(orders, np.array([2, 0]), np.array([[True, True, False]] * 2))
    second = 1 / math.log2(3)
    # The target was third (NDCG 0.5) and is now first, second, third; then it was first, with nothing to gain.
    gains = np.array([[1.0, (second - 0.5) / 0.5, 0.0], [0.0, second - 1, 0.5 - 1]])
    tags = np.array([0.1, 0.1, 0.0])
    np.testing.assert_allclose(found, 0.8 * gains + tags + 0.1)
    np.testing.assert_allclose(best, [1.0, 0.2])


def test_places_behind_the_tenth_are_worth_nothing() -> None:
    assert ndcg(np.array([9, 10, 19])) == pytest.approx([1 / math.log2(11), 0, 0])


def test_advantages_compare_within_a_group() -> None:
    found = advantages(np.array([[1.0, 0.0, 0.0, 1.0], [0.3, 0.3, 0.3, 0.3], [-5.0, 3.0, 3.0, 3.0]]))
    np.testing.assert_allclose(found[:2], [[1, -1, -1, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(found[2], (np.array([-5, 3, 3, 3]) - 1) / math.sqrt(12))


def test_losses_are_means_over_decisions_then_answers() -> None:
    rng = np.random.default_rng(0)
    log, old, reference = (torch.from_numpy(np.log(rng.uniform(0.1, 0.9, (3, 4)))) for _ in range(3))
    gains, decided = np.array([1.5, -0.5, 0.0]), np.arange(4) < np.array([[4], [2], [1]])
    policy, kl = [], []
    for r in range(3):
        terms, apart = [], []
        for m in range(4):
            if decided[r, m]:
                ratio = math.exp(log[r, m] - old[r, m])
                terms.append(-min(ratio * gains[r], min(max(ratio, 0.8), 1.2) * gains[r]))
                odds = math.exp(reference[r, m] - log[r, m])
                apart.append(odds - math.log(odds) - 1)
        policy.append(np.mean(terms))
        kl.append(np.mean(apart))
    mask = torch.from_numpy(decided)
    assert float(surrogate(log, old, torch.from_numpy(gains), mask, 0.2)) == pytest.approx(np.mean(policy))
    assert float(divergence(log, reference, mask)) == pytest.approx(np.mean(kl))


def test_what_is_clipped_has_no_gradient_and_what_was_drawn_just_now_that_of_its_advantage() -> None:
    log = torch.log(torch.tensor([[0.5, 0.2], [0.5, 0.9]])).requires_grad_()
    old = torch.log(torch.tensor([[0.5, 0.1], [0.5, 0.9]]))
    mask = torch.ones(2, 2, dtype=torch.bool)
    surrogate(log, old, torch.tensor([2.0, -1.0]), mask, 0.2).backward()
    torch.testing.assert_close(log.grad, torch.tensor([[-2.0, 0.0], [1.0, 1.0]]) / 4)
