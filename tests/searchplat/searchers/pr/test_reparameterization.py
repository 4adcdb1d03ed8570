from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Axis, CountRange, Encoding, Kind
from searchplat.searchers.pr.reparameterization import (
    TAU,
    Parameters,
    around,
    bernoulli_probability,
    categorical_probabilities,
    draw,
    ordinal_probabilities,
    score_gradient,
)

BITS = Encoding([Axis(f"b{i}", Kind.BIT) for i in range(10)])
CONSTRAINED = Encoding(BITS.axes, [CountRange(tuple(range(10)), 2, 4)])
MIXED = Encoding(
    [*(Axis(f"b{i}", Kind.BIT) for i in range(3)), Axis("k", Kind.CATEGORICAL, 3), Axis("o", Kind.ORDINAL, 4)]
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def function(codes: Tensor) -> Tensor:
    """An arbitrary positive function with interactions of all kinds."""
    mixing = torch.randn((codes.shape[-1], 6), generator=generator(5), dtype=torch.float64)
    return (torch.sin(codes @ mixing) + 1.2).prod(-1)


def somewhere(encoding: Encoding, restarts: int = 2) -> Parameters:
    theta = around(encoding, encoding.random(restarts, generator(1)), 0.3)
    theta.bits = torch.rand(theta.bits.shape, generator=generator(2), dtype=torch.float64)
    theta.logits = torch.randn(theta.logits.shape, generator=generator(3), dtype=torch.float64)
    theta.centres = 3 * torch.rand(theta.centres.shape, generator=generator(4), dtype=torch.float64)
    return theta


def exact_mean(encoding: Encoding, theta: Parameters) -> Tensor:
    """E[function(Z)] by enumeration, a restart each; differentiable in theta."""
    p = bernoulli_probability(theta.bits)
    q = categorical_probabilities(encoding, theta.logits)
    o, _ = ordinal_probabilities(encoding, theta.centres)
    total = torch.zeros(len(theta.bits), dtype=torch.float64)
    for levels in itertools.product(*(range(axis.levels) for axis in encoding.axes)):
        probability = torch.ones(len(theta.bits), dtype=torch.float64)
        for a, level in enumerate(levels):
            kind = encoding.axes[a].kind
            if kind is Kind.BIT:
                i = encoding.bits.tolist().index(a)
                probability = probability * (p[:, i] if level else 1 - p[:, i])
            elif kind is Kind.CATEGORICAL:
                probability = probability * q[:, encoding.categoricals.tolist().index(a), level]
            else:
                probability = probability * o[:, encoding.ordinals.tolist().index(a), level]
        total = total + probability * function(torch.tensor([levels], dtype=torch.float64))
    return total


def test_no_jump_of_the_probability_anywhere_in_the_unit_interval() -> None:
    """The authors' code wraps to 0.0067 at theta = 1; ours increases strictly up to 0.9933."""
    theta = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    p = bernoulli_probability(theta)

    assert float(p[0]) == pytest.approx(0.0066928509)
    assert float(p[-1]) == pytest.approx(0.9933071491)
    steps = p.diff()
    assert bool((steps > 0).all())
    assert float(steps.max()) < 1.01 * 1e-4 / (4 * TAU)  # the steepest slope is 1 / (4 tau)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_no_jump_of_the_gradient_at_the_ends(end: float) -> None:
    inside = abs(end - 1e-6)
    estimates = []
    for value in (end, inside):
        theta = somewhere(BITS, 1)
        theta.bits = torch.full_like(theta.bits, 0.5)
        theta.bits[:, 0] = value
        drawn = draw(BITS, theta, 4000, generator(9))
        estimates.append(score_gradient(function(drawn.codes), drawn.scores[0])[0, 0])
    assert abs(float(estimates[0] - estimates[1])) < 1e-3


def test_ordinal_probabilities_move_smoothly_over_the_levels() -> None:
    encoding = Encoding([Axis("o", Kind.ORDINAL, 5)])
    centres = torch.linspace(0, 4, 4001, dtype=torch.float64)[:, None]
    p, level = ordinal_probabilities(encoding, centres)

    torch.testing.assert_close(p.sum(-1), torch.ones_like(p.sum(-1)))
    assert float(p.diff(dim=0).abs().max()) < 2e-3
    assert bool(((p * level).sum(-1).diff(dim=0) > 0).all())


@pytest.mark.parametrize("encoding", [BITS, MIXED], ids=["bits", "mixed"])
def test_the_monte_carlo_gradient_is_that_of_the_exact_mean(encoding: Encoding) -> None:
    theta = somewhere(encoding)
    for block in theta.blocks():
        block.requires_grad_()
    exact = torch.autograd.grad(exact_mean(encoding, theta).sum(), theta.blocks()[:3], allow_unused=True)
    with torch.no_grad():
        theta = Parameters(*(b.detach() for b in theta.blocks()))
        batches = []
        for seed in range(400):
            drawn = draw(encoding, theta, 64, generator(seed))
            batches.append([score_gradient(function(drawn.codes), s) for s in drawn.scores])
    for block in range(3):
        if exact[block] is None or not exact[block].numel():
            continue
        estimates = torch.stack([b[block] for b in batches])
        error = (estimates.mean(0) - exact[block]).abs()
        # Five standard errors of the mean over 400 independent estimates.
        tolerance = 5 * estimates.std(0) / 400**0.5 + 1e-12
        assert bool((error < tolerance).all()), f"block {block}: {error} against {tolerance}"


def test_the_gradient_holds_through_the_repair_of_constraints() -> None:
    """Finite differences of the mean over repaired draws, with common random numbers."""
    theta = somewhere(CONSTRAINED, 1)

    def values(t: Parameters, samples: int, seed: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        drawn = draw(CONSTRAINED, t, samples, generator(seed))
        flat = CONSTRAINED.canonical(drawn.codes[0], drawn.priority[0])
        assert bool(((flat.sum(1) >= 2) & (flat.sum(1) <= 4)).all())
        return function(flat)[None], drawn.scores

    estimates = torch.stack([score_gradient(v, s[0])[0] for v, s in (values(theta, 64, k) for k in range(400))])
    up, down = somewhere(CONSTRAINED, 1), somewhere(CONSTRAINED, 1)
    up.bits[:, 3] += 0.02
    down.bits[:, 3] -= 0.02
    samples = 100_000
    gain = (values(up, samples, 7)[0] - values(down, samples, 7)[0])[0] / 0.04
    error = abs(float(estimates.mean(0)[3] - gain.mean()))
    assert error < 5 * float((estimates[:, 3].var() / 400 + gain.var() / samples).sqrt()) + 0.01


def test_pairs_and_the_baseline_lower_the_variance() -> None:
    theta = somewhere(BITS, 1)
    ours, plain = [], []
    for seed in range(300):
        drawn = draw(BITS, theta, 32, generator(seed))
        value = 3 + function(drawn.codes)
        ours.append(score_gradient(value, drawn.scores[0])[0])
        free = (
            torch.rand((1, 32, 10), generator=generator(seed)).double() < bernoulli_probability(theta.bits)
        ).double()
        score = (free - bernoulli_probability(theta.bits)) / TAU
        plain.append(torch.einsum("rs,rsd->rd", 3 + function(free), score)[0] / 32)

    assert float(torch.stack(ours).var(0).sum()) < 0.6 * float(torch.stack(plain).var(0).sum())


def test_draws_follow_their_probabilities() -> None:
    theta = somewhere(MIXED, 1)
    codes = draw(MIXED, theta, 40_000, generator()).codes[0]

    tolerance = 5 * 0.5 / 40_000**0.5
    assert bool(((codes[:, :3].mean(0) - bernoulli_probability(theta.bits)[0]).abs() < tolerance).all())
    q = categorical_probabilities(MIXED, theta.logits)[0, 0]
    o = ordinal_probabilities(MIXED, theta.centres)[0][0, 0]
    for column, probabilities in ((3, q), (4, o)):
        shares = torch.stack([(codes[:, column] == k).double().mean() for k in range(len(probabilities))])
        assert bool(((shares - probabilities).abs() < tolerance).all())
