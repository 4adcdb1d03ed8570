from __future__ import annotations

import itertools

import pytest
import torch

from searchplat.searchers.pr.acquisition import Averaged, NoisyEI
from searchplat.searchers.pr.encoding import Axis, CountRange, Encoding, Kind
from searchplat.searchers.pr.models.surrogate import fit
from searchplat.searchers.pr.optimizer import Budget, Values, maximise

D = 12
EVERYTHING = torch.tensor(list(itertools.product([0.0, 1.0], repeat=D)), dtype=torch.float64)


def hits(seeds: range, counts: tuple[CountRange, ...] = ()) -> int:
    """In how many random problems of 12 bits the optimum over all 4,096 points is found."""
    encoding = Encoding([Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(D)], counts)
    found = 0
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        codes = encoding.random(30, generator)
        features = encoding.features(codes)
        mixing = torch.randn((D, D), generator=generator, dtype=torch.float64)
        y = ((features @ mixing) * features).sum(1) + 2 * features @ mixing[0]
        y = y + 0.3 * y.std() * torch.randn(30, generator=generator, dtype=torch.float64)
        models = fit(encoding, features, (y - y.mean()) / y.std(), "full")
        acquisition = Averaged([NoisyEI(m, features, features[:0], seed) for m in models], [m.weight for m in models])
        values = Values(encoding, acquisition, codes)
        best = maximise(values, codes[models[0].mean(features).topk(4).indices], Budget(), generator)
        allowed = EVERYTHING
        for count in counts:
            ones = EVERYTHING.sum(1)
            allowed = EVERYTHING[(ones >= count.low) & (ones <= count.high)]
        assert best is not None
        found += best.value >= float(values(allowed).max()) - 1e-9
    return found


def test_ends_at_the_enumerated_optimum() -> None:
    assert hits(range(8)) >= 7


def test_ends_at_the_enumerated_optimum_under_a_constraint() -> None:
    assert hits(range(5), (CountRange(tuple(range(D)), 0, 4),)) >= 4


@pytest.mark.by_hand
@pytest.mark.slow
def test_ends_at_the_enumerated_optimum_in_95_of_100() -> None:
    assert hits(range(100)) >= 95


def test_without_the_last_ascent_draws_alone_come_near() -> None:
    """PR itself, not the polish, does the global work: on a function with one narrow ridge of values."""
    encoding = Encoding([Axis(f"b{i}", Kind.BIT) for i in range(30)])
    target = (torch.arange(30) % 2).double()
    values = Values(encoding, lambda f: -(((f + 1) / 2 - target) ** 2).sum(1), torch.zeros((0, 30)).double())

    best = maximise(values, torch.zeros((0, 30)).double(), Budget(), torch.Generator().manual_seed(0))

    assert best is not None
    assert best.value == 0


def test_real_axes_follow_the_gradient() -> None:
    encoding = Encoding([*(Axis(f"x{i}", Kind.REAL, 0) for i in range(4)), Axis("b", Kind.BIT)])
    target = torch.tensor([0.6, 0.15, 0.775, 0.95, 1.0], dtype=torch.float64)
    aim = encoding.features(target[None])[0]
    values = Values(encoding, lambda f: -50 * ((f - aim) ** 2).sum(1), torch.zeros((0, 5)).double())

    best = maximise(values, torch.zeros((0, 5)).double(), Budget(), torch.Generator().manual_seed(0))

    assert best is not None
    torch.testing.assert_close(best.code_A, target, atol=0.015, rtol=0)


def test_tried_points_are_never_returned() -> None:
    encoding = Encoding([Axis(f"b{i}", Kind.BIT) for i in range(4)])
    everything = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    order = everything.sum(1).argsort(descending=True, stable=True)
    for count in range(16):
        values = Values(encoding, lambda f: f.sum(1), everything[order[:count]])
        best = maximise(values, everything[order[:2]], Budget(4, 8, 10), torch.Generator().manual_seed(count))
        assert best is not None
        assert best.value == float(encoding.features(everything[order[count]][None]).sum())
    values = Values(encoding, lambda f: f.sum(1), everything)
    assert maximise(values, everything[:2], Budget(4, 8, 10), torch.Generator().manual_seed(0)) is None
