"""Which of many points are looked at: the best, the newest and a spread, as a function of the points alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from searchplat.searchers.pr.models import subset as subsets
from searchplat.searchers.pr.models.subset import standing, subset


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MOST_FITTED", 40), ("REFITTED", 10), ("MOST_KNOWN", 60)):
        monkeypatch.setattr(subsets, name, value)


def test_nothing_is_left_out_of_three_hundred_points() -> None:
    chosen = subset(normal(300, 1))
    assert chosen.whole
    assert chosen.known.tolist() == list(range(300))
    assert not subset(normal(301, 1)).whole
    assert len(subset(normal(500, 1)).known) == len(subset(normal(501, 1)).known) == 500


@pytest.mark.usefixtures("_small")
def test_the_best_the_newest_and_some_of_all_others() -> None:
    values = normal(200)
    at = torch.arange(200).flip(0)  # the last rows came first
    chosen = subset(values[:, None], at)

    assert len(set(chosen.known.tolist())) == 60
    assert set(values.topk(15).indices.tolist()) | set(range(15)) <= set(chosen.known.tolist())
    assert int(chosen.known.diff().max()) < 20
    assert set(values.topk(20).indices.tolist()) | set(range(20)) == set(chosen.fitted.tolist())


@pytest.mark.usefixtures("_small")
def test_what_is_fitted_to_stays_until_so_many_more_have_come() -> None:
    values, at = normal(80, 1), torch.arange(80)
    at[3] = 75  # began early, ended late
    before = subset(values[:60], at[:60])
    for count in (61, 69):
        later = subset(values[:count], at[:count])
        assert later.fitted.tolist() == subset(values[:61], at[:61]).fitted.tolist()
        assert 3 not in later.settled
    assert before.fitted.tolist() != subset(values[:70], at[:70]).fitted.tolist()
    assert 3 in subset(values, at).settled


def test_of_several_objectives_the_front_stands_first() -> None:
    values = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6], [0.5, 0.5], [0.5, 0.5], [-1.0, -1.0]])
    assert standing(values).tolist() == [0, 0, 0, -1, -1, -5]
    assert standing(values[:, :1]).tolist() == values[:, 0].tolist()


def test_standing_does_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = normal(50, 3)
    slow = [-sum(bool((v >= w).all() and (v > w).any()) for v in values) for w in values]
    monkeypatch.setattr(subsets, "_BLOCK", 7)
    assert standing(values).tolist() == slow


@pytest.mark.usefixtures("_small")
def test_points_between_two_objectives_are_kept_though_best_by_neither() -> None:
    """A front of 12 points bent outwards, and 150 far behind it of which many are better by one objective."""
    angle = torch.linspace(0.3, 1.27, 12, dtype=torch.float64)
    front = torch.stack([angle.cos(), angle.sin()], 1)
    behind = torch.rand((150, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.3
    values = torch.cat([front, torch.cat([behind, 0.3 - behind], 1), normal(100, 2) * 0.01 - 5])
    assert set(range(12)) <= set(subset(values).known.tolist())
