"""Whitening against its equation."""

from __future__ import annotations

import pytest
import torch

from trials.nn.whitening import whitening


@pytest.mark.parametrize("ridge", [1e-9, 0.1, 10.0])
def test_it_is_the_inverse_root_of_the_covariance_with_a_ridge(ridge: float) -> None:
    torch.manual_seed(0)
    x = 5 + torch.randn(50, 4, dtype=torch.double) @ torch.randn(4, 4, dtype=torch.double)
    c = torch.cov(x.T, correction=0)
    expected = torch.linalg.inv(c + ridge * c.trace() / 4 * torch.eye(4, dtype=torch.double))
    found = whitening(x, ridge)
    torch.testing.assert_close(found @ found, expected)
    torch.testing.assert_close(found, found.T)


def test_states_that_do_not_differ_stay_finite() -> None:
    assert whitening(torch.ones(3, 4), 0.1).isfinite().all()
