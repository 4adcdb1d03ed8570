from __future__ import annotations

import torch

from trials.promptbert.head import TEXT_SPREAD, TitleHead


def states() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 + torch.randn(400, 6, generator=generator) @ torch.randn(6, 6, generator=generator)


def test_logits_are_linear_in_conditioned_states() -> None:
    h, bias = states(), torch.arange(5.0)
    head = TitleHead(6, bias, 0.0).requires_grad_(False)
    torch.testing.assert_close(head(h), bias.expand(400, 5))  # no vectors yet
    head.whiten(h, ridge=0.1)
    head.start_from(h[:5])
    slow = [[float(bias[n] + head.vectors[n] @ (head.whitening_DD @ (row - h.mean(0)))) for n in range(5)] for row in h]
    torch.testing.assert_close(head(h), torch.tensor(slow), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(head.vectors.norm(dim=1), torch.full((5,), TEXT_SPREAD))
    assert head(h[:5]).sub(bias).argmax(1).tolist() == [0, 1, 2, 3, 4]  # an item's own state scores it highest


def test_whitened_states_have_equal_variances() -> None:
    h = states()
    head = TitleHead(6, torch.zeros(2), 0.0)
    head.whiten(h, ridge=1e-9)
    x = head.condition(h)
    torch.testing.assert_close(x.T @ x / len(x), torch.eye(6), rtol=1e-3, atol=1e-3)
    few = TitleHead(6, torch.zeros(2), 0.0)
    few.whiten(h[:2], ridge=0.1)  # directions without any variance stay finite
    assert few.condition(h).isfinite().all()
