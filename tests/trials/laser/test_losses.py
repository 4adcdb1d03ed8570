"""L_IIC and L_LB against the equations, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trials.laser.losses import cosines, item_item_contrastive, load_balance


def test_iic_is_a_softmax_of_cosines_over_all_items() -> None:
    rng = np.random.default_rng(0)
    users, items, targets, tau = rng.normal(size=(3, 5)), rng.normal(size=(7, 5)), [4, 0, 6], 0.05
    terms = []
    for h_u, target in zip(users, targets, strict=True):
        f = [math.exp(h_u @ h_i / (math.hypot(*h_u) * math.hypot(*h_i)) / tau) for h_i in items]
        terms.append(-math.log(f[target] / sum(f)))
    logits = cosines(torch.tensor(users), torch.tensor(items)) / tau
    got = item_item_contrastive(logits, torch.tensor(targets))
    assert got.item() == pytest.approx(np.mean(terms), rel=1e-9)


def test_cosines_do_not_see_lengths() -> None:
    users, items = torch.randn(4, 6), torch.randn(5, 6)
    found = cosines(users, items)
    assert found.shape == (4, 5)
    assert found.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(cosines(3 * users, 0.1 * items), found)
    torch.testing.assert_close(cosines(users, users).diagonal(), torch.ones(4))


def test_load_balance_is_the_sum_of_the_equation() -> None:
    weights, dispatched = torch.rand(3, 4), torch.rand(3, 4)
    expected = [4 * sum(float(f[j] * w[j]) for j in range(4)) for w, f in zip(weights, dispatched, strict=True)]
    assert load_balance(weights, dispatched).item() == pytest.approx(np.mean(expected), rel=1e-6)


def test_load_balance_is_1_for_equal_shares_and_k_for_one_expert() -> None:
    equal = torch.full((2, 5), 0.2)
    one = torch.eye(5)[:2]
    assert load_balance(equal, equal).item() == pytest.approx(1)
    assert load_balance(one, one).item() == pytest.approx(5)
