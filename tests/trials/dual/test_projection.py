"""The item projection is one linear layer, however it is written."""

from __future__ import annotations

import pytest
import torch

from trials.dual.inputs import ALIGN, SEQ
from trials.dual.projection import TEXT_SPREAD, ItemProjection


def test_is_a_linear_layer_with_one_matrix_for_both_tokens() -> None:
    torch.manual_seed(0)
    projection = ItemProjection(6, torch.randn(9))
    seq, align = 5 + 2 * torch.randn(30, 6), 3 * torch.randn(20, 6) - 1
    projection.centre(seq, align)
    w = projection.linear.weight / projection.scale
    for special, states in ((SEQ, seq), (ALIGN, align)):
        b = projection.linear.bias - w @ states.mean(0)
        torch.testing.assert_close(projection(states, special), states @ w.T + b)


def test_centred_states_have_mean_zero_and_spread_one() -> None:
    torch.manual_seed(0)
    projection = ItemProjection(6, torch.zeros(9))
    states = 5 + 2 * torch.randn(300, 6)
    projection.centre(states, states)
    centred = (states - projection.centre_2D[SEQ]) / projection.scale
    torch.testing.assert_close(centred.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(centred.std(0).mean(), torch.ones(()))


def test_centre_travels_with_the_weights() -> None:
    one, other = ItemProjection(4, torch.zeros(3)), ItemProjection(4, torch.zeros(3))
    one.centre(torch.randn(5, 4), torch.randn(5, 4))
    other.load_state_dict(one.state_dict())
    h = torch.randn(2, 4)
    torch.testing.assert_close(one(h, ALIGN), other(h, ALIGN))


def test_one_state_or_equal_states_do_not_divide_by_zero() -> None:
    projection = ItemProjection(4, torch.zeros(3))
    for states in (torch.randn(1, 4), torch.ones(5, 4)):
        projection.centre(states, states)
        assert torch.isfinite(projection(torch.randn(2, 4), SEQ)).all()


def test_whitened_states_have_the_covariance_that_the_ridge_leaves() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(6, 6)
    states = 5 + torch.randn(4000, 6) @ mixing
    projection = ItemProjection(6, torch.zeros(9), whitening=True)
    projection.whiten(states, states - 3, ridge=1e-9)
    for special, seen in ((SEQ, states), (ALIGN, states - 3)):
        white = projection.condition(seen, special)
        torch.testing.assert_close(white.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
        torch.testing.assert_close(white.T @ white / len(white), torch.eye(6), atol=1e-3, rtol=0)
    projection.whiten(states, states, ridge=0.5)
    variances = torch.linalg.eigvalsh(torch.cov(states.T, correction=0))
    white = projection.condition(states, SEQ)
    expected = (variances / (variances + 0.5 * variances.mean())).sort().values
    torch.testing.assert_close(torch.linalg.eigvalsh(white.T @ white / len(white)), expected, atol=1e-4, rtol=1e-4)


def test_whitening_travels_with_the_weights_and_stands_equal_states() -> None:
    one, other = (ItemProjection(4, torch.zeros(3), whitening=True) for _ in range(2))
    one.whiten(torch.randn(9, 4), torch.randn(5, 4), ridge=0.1)
    other.load_state_dict(one.state_dict())
    h = torch.randn(2, 4)
    torch.testing.assert_close(one(h, ALIGN), other(h, ALIGN))
    one.whiten(torch.ones(5, 4), torch.ones(5, 4), ridge=0.1)
    assert torch.isfinite(one(h, SEQ)).all()
    assert "whitening_DD" not in ItemProjection(4, torch.zeros(3)).state_dict()


@pytest.mark.parametrize("rank", [None, 3])
def test_start_from_texts_gives_like_items_like_scores(rank: int | None) -> None:
    torch.manual_seed(0)
    x = torch.randn(20, 3) @ torch.randn(3, 8)  # of rank 3, so that a product of that rank holds it
    projection = ItemProjection(8, torch.zeros(20), rank=rank)
    projection.start_from(x)
    expected = TEXT_SPREAD * x @ torch.nn.functional.normalize(x, dim=-1).T
    torch.testing.assert_close(projection(x, SEQ), expected, atol=1e-5, rtol=1e-4)


def test_vectors_may_come_from_elsewhere() -> None:
    projection = ItemProjection(4, torch.zeros(3), rank=2, own_vectors=False)
    assert "linear.weight" not in projection.state_dict()
    h, vectors = torch.randn(5, 4), torch.randn(3, 2)
    torch.testing.assert_close(projection(h, SEQ, vectors), h @ projection.down.weight.T @ vectors.T)
