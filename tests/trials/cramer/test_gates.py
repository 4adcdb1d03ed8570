"""Gates against their formulas: how many are open, how noise chooses them, the gradient, the prior."""

from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
import torch

from trials.cramer import gates
from trials.cramer.gates import (
    gumbel,
    open_gates,
    prior_divergence,
    settled_gates,
    straight_through,
    threshold_through,
    top_k_gates,
)

CPU = torch.device("cpu")


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(gates).failed == 0


@pytest.mark.parametrize(("size", "dropped"), [(10, 1), (10, 9), (1536, 3), (7, 2), (40, 6)])
def test_dropping_a_whole_number_of_gates_drops_just_these(size: int, dropped: int) -> None:
    assert open_gates(size, dropped / size) == size - dropped


@pytest.mark.parametrize("k", [1, 2, 5, 8, 9])
def test_exactly_k_gates_are_open_also_where_logits_are_equal(k: int) -> None:
    torch.manual_seed(0)
    for logits_BG in (torch.randn(6, 10), torch.zeros(6, 10), torch.randn(6, 10).round()):
        found_BG = top_k_gates(logits_BG, k)
        assert found_BG.sum(1).tolist() == [k] * 6
        assert set(found_BG.unique().tolist()) <= {0.0, 1.0}
        lowest_open_B = logits_BG.masked_fill(found_BG == 0, torch.inf).amin(1)
        highest_shut_B = logits_BG.masked_fill(found_BG == 1, -torch.inf).amax(1)
        assert (lowest_open_B >= highest_shut_B).all()


def plackett_luce(logits_G: np.ndarray, k: int) -> np.ndarray:
    """Chance of each gate to be among k draws without replacement, by adding up all orders of drawing."""
    weights_G = np.exp(logits_G)
    inclusion_G = np.zeros(len(logits_G))
    for order in itertools.permutations(range(len(logits_G)), k):
        chance, left = 1.0, weights_G.sum()
        for gate in order:
            chance *= weights_G[gate] / left
            left -= weights_G[gate]
        inclusion_G[list(order)] += chance
    return inclusion_G


@pytest.mark.parametrize("k", [1, 2, 4])
def test_noise_opens_gates_as_plackett_and_luce_draw(k: int) -> None:
    logits_G = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5])
    draws = 40_000
    noisy_BG = logits_G + gumbel(draws, 5, seed=k, device=CPU)
    frequency_G = top_k_gates(noisy_BG, k).double().mean(0).numpy()
    expected_G = plackett_luce(logits_G.double().numpy(), k)
    assert expected_G.sum() == pytest.approx(k)
    # Five standard deviations of a frequency in so many independent draws.
    tolerance_G = 5 * np.sqrt(expected_G * (1 - expected_G) / draws)
    assert (np.abs(frequency_G - expected_G) < tolerance_G).all()


def test_noise_is_gumbels_and_follows_from_its_seed() -> None:
    one, again, other = (gumbel(100, 200, seed, CPU) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.isfinite().all()
    # Mean γ and variance π²/6; the mean's standard deviation is that of 20,000 draws.
    deviation = math.pi / math.sqrt(6)
    assert float(one.mean()) == pytest.approx(float(np.euler_gamma), abs=5 * deviation / math.sqrt(20_000))
    assert float(one.std()) == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize("tau", [0.3, 0.7, 2.0])
def test_the_gradient_is_that_of_the_written_softmax_and_the_value_is_hard(tau: float) -> None:
    torch.manual_seed(1)
    logits_BG = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    above_BG = torch.randn(3, 6, dtype=torch.float64)
    hard_BG = top_k_gates(logits_BG.detach() + gumbel(3, 6, 5, CPU), 4)
    found_BG = straight_through(hard_BG, logits_BG, tau)
    assert torch.equal(found_BG.detach(), hard_BG)
    (found_BG * above_BG).sum().backward()
    soft_BG = np.exp(logits_BG.detach().numpy() / tau)
    soft_BG /= soft_BG.sum(1, keepdims=True)
    g = above_BG.numpy()
    expected = soft_BG * (g - (soft_BG * g).sum(1, keepdims=True)) / tau  # dv_j/dz_i = v_j ([i = j] - v_i) / τ
    np.testing.assert_allclose(logits_BG.grad.numpy(), expected, rtol=1e-10)


def test_at_the_threshold_a_gate_learns_most_and_the_value_is_hard() -> None:
    torch.manual_seed(1)
    logits_BG = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    above_BG = torch.randn(3, 6, dtype=torch.float64)
    noisy_BG = logits_BG.detach() + gumbel(3, 6, 5, CPU)
    hard_BG = top_k_gates(noisy_BG, 4)
    found_BG = threshold_through(hard_BG, logits_BG, noisy_BG, 0.5)
    assert torch.equal(found_BG.detach(), hard_BG)
    (found_BG * above_BG).sum().backward()
    ordered_BG = noisy_BG.sort(1, descending=True).values
    open_BG = 1 / (1 + np.exp(-(noisy_BG - (ordered_BG[:, 3:4] + ordered_BG[:, 4:5]) / 2).numpy() / 0.5))
    assert ((open_BG > 0.5) == (hard_BG.numpy() == 1)).all()
    np.testing.assert_allclose(logits_BG.grad.numpy(), above_BG.numpy() * open_BG * (1 - open_BG) / 0.5, rtol=1e-10)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_prior_is_the_mean_divergence_of_bernoullis(share: float) -> None:
    torch.manual_seed(2)
    logits_BG = 3 * torch.randn(4, 50, dtype=torch.float64)
    ours = torch.distributions.Bernoulli(logits=logits_BG)
    prior = torch.distributions.Bernoulli(probs=torch.tensor(share, dtype=torch.float64))
    expected_B = torch.distributions.kl_divergence(ours, prior).sum(1) / 50
    torch.testing.assert_close(prior_divergence(logits_BG, share), expected_B)


def test_the_prior_is_zero_at_its_own_share_and_finite_far_away() -> None:
    at_prior = torch.full((1, 8), math.log(0.9 / 0.1))
    assert float(prior_divergence(at_prior, 0.9)) == pytest.approx(0, abs=1e-6)
    far = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    divergence = prior_divergence(far, 0.9)
    divergence.sum().backward()
    assert divergence.isfinite().all()
    assert far.grad.isfinite().all()


def test_rows_that_rounding_could_change_are_decided_exactly() -> None:
    exact_BG = torch.tensor([[1.0, 1.0 + 1e-9, 0.0], [3.0, 2.0, 1.0]], dtype=torch.float64)
    rounded_BG = exact_BG.float()
    asked: list[list[int]] = []

    def exact(rows_R: torch.Tensor) -> torch.Tensor:
        asked.append(rows_R.tolist())
        return exact_BG[rows_R]

    found_BG = settled_gates(rounded_BG, 1, exact)
    assert found_BG.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert asked == [[0]]
