"""The item projection is one linear layer, however it is written."""

from __future__ import annotations

import torch

from trials.dual.inputs import ALIGN, SEQ
from trials.dual.projection import ItemProjection


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
