"""The router against slow loops from eq. 4, 8 and 9; which experts reach the prefix; padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trials.laser.losses import load_balance
from trials.laser.mformer import ExpertRouter, MFormer


def histories(seed: int = 0, lengths: tuple[int, ...] = (4, 1, 3)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), max(lengths), 5), valid


def make(seed: int = 0, **settings: Any) -> MFormer:
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "num_experts": 4,
        "top_experts": 2,
        "num_queries": 3,
        "width": 8,
        "num_heads": 2,
        "num_layers": 3,
        "cross_every": 2,
        "dropout": 0.0,
        "output_std": 0.1,
        "output_mean_D": torch.zeros(6),
    }
    former = MFormer(5, 6, **{**sizes, **settings})
    with torch.no_grad():
        for parameter in former.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # off the quiet start: every part makes a difference
    return former


def test_router_and_balance_against_loops() -> None:
    router = ExpertRouter(5, 4, 2)
    c_BPC, valid_BP = histories()
    found = router(c_BPC, valid_BP)
    w_r = router.gate.weight.detach().double().numpy()  # [K, d_c]
    balances = []
    for b in range(3):
        c = c_BPC[b, valid_BP[b]].double().numpy()
        n, k = len(c), len(w_r)
        p = [
            [math.exp(c[i] @ w_r[j]) / sum(math.exp(c[i] @ w_r[m]) for m in range(k)) for j in range(k)]
            for i in range(n)
        ]
        w = [sum(p[i][j] for i in range(n)) / n for j in range(k)]  # eq. 4
        f = [sum(1 for i in range(n) if int(np.argmax(p[i])) == j) / n for j in range(k)]  # eq. 9
        balances.append(k * sum(f[j] * w[j] for j in range(k)))  # eq. 7
        np.testing.assert_allclose(found.weights_BK[b].detach(), w, rtol=1e-5)
        np.testing.assert_allclose(found.dispatched_BK[b], f)
        assert found.chosen_BE[b].tolist() == sorted(range(k), key=lambda j: -w[j])[:2]
    balance = load_balance(found.weights_BK, found.dispatched_BK)
    assert balance.item() == pytest.approx(np.mean(balances), rel=1e-5)
    balance.backward()
    assert router.gate.weight.grad is not None
    assert router.gate.weight.grad.abs().sum() > 0


def test_only_activated_experts_reach_the_prefix() -> None:
    former = make().eval()
    c_BPC, valid_BP = histories()
    prefix_BLD, routing = former(c_BPC, valid_BP)
    assert prefix_BLD.shape == (3, 3, 6)
    assert routing is not None
    for b in range(3):
        (gradient,) = torch.autograd.grad(prefix_BLD[b].sum(), former.queries_KLM, retain_graph=True)
        reached = {k for k in range(4) if gradient[k].abs().sum() > 0}
        assert reached == set(routing.chosen_BE[b].tolist())


def test_the_prefix_is_the_weighted_sum_of_experts_that_work_alone() -> None:
    former = make().eval()
    c_BPC, valid_BP = histories()
    prefix_BLD, routing = former(c_BPC, valid_BP)
    assert routing is not None
    for b in range(3):
        mixed = torch.zeros(3, 8)
        for k in routing.chosen_BE[b].tolist():
            x = former.queries_KLM[k : k + 1]
            read = former.read(c_BPC[b : b + 1, valid_BP[b]])
            ago = torch.arange(read.shape[1]).flip(0)[None]
            for block in former.blocks:
                x = block(x, read, torch.ones(read.shape[:2], dtype=torch.bool), ago, torch.zeros(1, dtype=torch.long))
            mixed = mixed + routing.weights_BK[b, k] * former.norm(x)[0]
        torch.testing.assert_close(prefix_BLD[b], former.output(mixed), rtol=1e-4, atol=1e-5)


def test_every_second_block_has_cross_attention() -> None:
    assert [block.cross_attention is not None for block in make(num_layers=5).blocks] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert [block.cross_attention is not None for block in make(num_layers=4, cross_every=3).blocks] == [1, 0, 0, 1]


def test_padding_and_neighbours_change_nothing() -> None:
    former = make().eval()
    c_BPC, valid_BP = histories()
    together, _ = former(c_BPC, valid_BP)
    changed = c_BPC.masked_fill(~valid_BP.unsqueeze(-1), 9.0)
    torch.testing.assert_close(former(changed, valid_BP)[0], together)
    for b in range(3):
        alone, _ = former(c_BPC[b : b + 1, valid_BP[b]], torch.ones(1, int(valid_BP[b].sum()), dtype=torch.bool))
        torch.testing.assert_close(alone[0], together[b], rtol=1e-4, atol=1e-5)


def test_one_expert_has_no_router() -> None:
    former = make(num_experts=1, top_experts=1)
    prefix_BLD, routing = former(*histories())
    assert routing is None
    assert former.router is None
    assert prefix_BLD.shape == (3, 3, 6)


@pytest.mark.parametrize(("experts", "top"), [(8, 3), (4, 1), (1, 1)])
def test_the_prefix_starts_as_wide_as_the_vocabulary(experts: int, top: int) -> None:
    torch.manual_seed(0)
    former = MFormer(
        16,
        400,
        num_experts=experts,
        top_experts=top,
        num_queries=8,
        width=64,
        num_heads=4,
        num_layers=2,
        cross_every=2,
        dropout=0.0,
        output_std=0.05,
        output_mean_D=torch.full((400,), 0.5),
    )
    prefix_BLD, _ = former(torch.randn(6, 3, 16), torch.ones(6, 3, dtype=torch.bool))
    assert 0.03 < prefix_BLD.std().item() < 0.08
    assert prefix_BLD.mean().item() == pytest.approx(0.5, abs=0.01)


def test_recency_is_a_bias_by_place_from_the_end() -> None:
    former = make(recency=True).eval()
    c_BPC, valid_BP = histories(lengths=(4, 2, 3))
    together, _ = former(c_BPC, valid_BP)
    for b in range(3):  # padding and neighbours change nothing here either
        n = int(valid_BP[b].sum())
        alone, _ = former(c_BPC[b : b + 1, :n], torch.ones(1, n, dtype=torch.bool))
        torch.testing.assert_close(alone[0], together[b], rtol=1e-4, atol=1e-5)
    turned = c_BPC[:1].flip(1)
    assert not torch.allclose(former(turned, valid_BP[:1])[0], together[:1], atol=1e-4)
    plain = make().eval()  # without it, a set
    torch.testing.assert_close(plain(turned, valid_BP[:1])[0], plain(c_BPC[:1], valid_BP[:1])[0], rtol=1e-4, atol=1e-5)
    block = make(recency=True).blocks[0]
    assert block.recency_HA.shape == (2, 64)
    former(c_BPC, valid_BP)[0].sum().backward()
    assert former.blocks[0].recency_HA.grad.abs().sum() > 0


def test_histories_may_share_a_row() -> None:
    former = make(recency=True).eval()
    c_BPC, _ = histories(lengths=(4, 4, 4))
    row_B, count_B = torch.tensor([0, 0, 2]), torch.tensor([2, 4, 3])
    seen_BP = torch.arange(4) < count_B[:, None]
    shared, routing = former(c_BPC, seen_BP, row_B)
    own, own_routing = former(c_BPC[row_B], seen_BP)
    torch.testing.assert_close(shared, own)
    torch.testing.assert_close(routing.weights_BK, own_routing.weights_BK)
