from __future__ import annotations

import pytest
import torch

from trials.cramer.basis import RequestBasis


def test_training_requests_have_unit_variance_in_their_first_directions_and_no_covariance() -> None:
    torch.manual_seed(0)
    vectors_IW = torch.randn(200, 4) @ torch.diag(torch.tensor([5.0, 1.0, 0.1, 0.01])) @ torch.randn(4, 6) + 3
    basis = RequestBasis(6, 3)
    basis.fit(vectors_IW)
    x_IR = basis(vectors_IW).double()
    torch.testing.assert_close(x_IR.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(x_IR.T @ x_IR / 200, torch.eye(3, dtype=torch.float64), atol=1e-2, rtol=0)
    # The same directions as a singular value decomposition's, in the same order.
    centred_IW = (vectors_IW - vectors_IW.mean(0)).double()
    left_II, _, _ = torch.linalg.svd(centred_IW, full_matrices=False)
    torch.testing.assert_close((left_II[:, :3] * 200**0.5).abs(), x_IR.abs(), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("rows", [1, 3])
def test_directions_that_nobody_asked_in_are_zero(rows: int) -> None:
    basis = RequestBasis(6, 5)
    basis.fit(torch.arange(float(rows))[:, None].expand(-1, 6).contiguous())
    x_BR = basis(torch.randn(7, 6))
    assert x_BR.isfinite().all()
    assert (x_BR[:, 1:] == 0).all()
