from __future__ import annotations

import pytest
import torch

from trials.promptbert.experts import MixtureOfExperts


@pytest.mark.parametrize(("experts", "top_k"), [(1, 1), (4, 1), (4, 2), (5, 5)])
def test_the_mixture_is_that_of_a_slow_loop(experts: int, top_k: int) -> None:
    torch.manual_seed(experts + top_k)
    moe = MixtureOfExperts(6, experts, top_k).requires_grad_(False)
    states = torch.randn(7, 3, 6)
    found, weights = moe(states)
    for b in range(7):
        logits = [float(moe.gate.weight[e] @ states[b, 0]) for e in range(experts)]
        p = torch.softmax(torch.tensor(logits), 0)
        kept = sorted(range(experts), key=lambda e: -logits[e])[:top_k]
        for e in range(experts):
            assert float(weights[b, e]) == pytest.approx(float(p[e]) if e in kept else 0.0, abs=1e-6)
        for t in range(3):
            expected = torch.zeros(6)
            for e in kept:
                inner, _, outer = moe.experts[e]
                hidden = torch.nn.functional.gelu(inner.weight @ states[b, t] + inner.bias)
                expected += p[e] * (outer.weight @ hidden + outer.bias)
            torch.testing.assert_close(found[b, t], expected, rtol=1e-4, atol=1e-5)


def test_the_first_token_alone_chooses() -> None:
    torch.manual_seed(0)
    moe = MixtureOfExperts(6, 4, 2)
    states = torch.randn(3, 5, 6)
    changed = torch.cat([states[:, :1], torch.randn(3, 4, 6)], 1)
    assert torch.equal(moe.weights(states), moe.weights(changed))


def test_the_gate_learns_through_the_kept_scores() -> None:
    torch.manual_seed(0)
    moe = MixtureOfExperts(6, 4, 2)
    moe(torch.randn(5, 2, 6))[0].square().sum().backward()
    assert bool((moe.gate.weight.grad != 0).any(1).all())  # also of experts not chosen: their share is in the softmax


def test_a_centred_gate_prefers_no_expert_on_average() -> None:
    torch.manual_seed(0)
    moe = MixtureOfExperts(6, 4, 2, centred=True)
    cls = 5 + torch.randn(50, 6)
    moe.centre(cls)
    torch.testing.assert_close(moe.gate(cls).mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    chosen = (moe.weights(cls[:, None]) > 0).float().mean(0)
    assert chosen.min() > 0.2
