"""The router against its equation."""

from __future__ import annotations

import pytest
import torch

from trials.nn.router import Router


def random_router(width: int, *, hard: bool = False) -> Router:
    torch.manual_seed(0)
    router = Router(width, hard=hard)
    torch.nn.init.normal_(router.gate.weight)
    torch.nn.init.normal_(router.gate.bias)
    return router


def test_starts_even() -> None:
    q, p = torch.randn(4, 6), torch.randn(4, 6)
    mixed, beta = Router(6)(q, p)
    torch.testing.assert_close(beta, torch.full((4, 2), 0.5))
    torch.testing.assert_close(mixed, (q + p) / 2)


def test_equation_token_by_token() -> None:
    router = random_router(6)
    q, p = torch.randn(4, 6), torch.randn(4, 6)
    mixed, beta = router(q, p)
    for i in range(4):
        logits = router.gate.weight @ torch.cat([q[i], p[i]]) + router.gate.bias
        b = torch.softmax(logits, 0)
        torch.testing.assert_close(beta[i], b)
        torch.testing.assert_close(mixed[i], b[0] * q[i] + b[1] * p[i])


def test_hard_routing_sends_each_token_one_way_and_keeps_the_soft_gradient() -> None:
    hard, soft = random_router(6, hard=True), random_router(6)
    q, p = torch.randn(8, 6), torch.randn(8, 6)
    mixed, beta = hard(q, p)
    assert set(beta.detach().round(decimals=5).unique().tolist()) <= {0.0, 1.0}
    first = beta[:, :1] > 0.5
    torch.testing.assert_close(mixed, torch.where(first, q, p))
    hard.weights(q, p)[:, 0].sum().backward()
    soft.weights(q, p)[:, 0].sum().backward()
    torch.testing.assert_close(hard.gate.weight.grad, soft.gate.weight.grad)


@pytest.mark.parametrize("hard", [False, True])
def test_weights_sum_to_one(hard: bool) -> None:
    beta = random_router(6, hard=hard).weights(torch.randn(8, 6), torch.randn(8, 6))
    torch.testing.assert_close(beta.sum(-1), torch.ones(8))


def test_a_floor_keeps_both_branches() -> None:
    torch.manual_seed(0)
    router = Router(4, floor=0.1)
    torch.nn.init.normal_(router.gate.weight, std=100)
    q, p = torch.randn(50, 4), torch.randn(50, 4)
    _, beta = router(q, p)
    torch.testing.assert_close(beta.sum(1), torch.ones(50))
    assert beta.min() >= 0.1 - 1e-6
    assert beta.min() < 0.11
