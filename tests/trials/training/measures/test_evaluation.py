from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_cases import as_queries
from torch import Tensor

from trials.data.preparing.dataset import Queries
from trials.training.measures.best_items import NO_ITEM
from trials.training.measures.evaluation import rankings, target_ranks
from trials.training.recommender import Recommender


class Table(Recommender):
    """Scores by looking a user's row up."""

    def __init__(self, scores_UN: Any) -> None:
        super().__init__()
        self.scores_UN = torch.as_tensor(scores_UN)
        self.evaluations = 0
        self.largest = 0

    def start_evaluation(self) -> None:
        self.evaluations += 1

    def scores(self, queries: Queries) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.largest = max(self.largest, len(queries))
        return self.scores_UN[torch.as_tensor(queries.users_B)]


def queries(histories: list[list[int]]) -> Queries:
    return as_queries(histories, range(len(histories)))


def slow_rank(scores_N: Any, target: int, candidates: set[int]) -> int:
    """The definition, one comparison at a time."""
    worth = [float("-inf") if np.isnan(score) else float(score) for score in scores_N]
    return 1 + sum(worth[n] >= worth[target] for n in candidates - {target})


values = st.sampled_from([0.0, 1.0, 2.0, float("nan"), float("inf"), float("-inf")])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranks_equal_a_slow_count(data: st.DataObject) -> None:
    users, items = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 5))
    scores_UN = np.array(
        data.draw(st.lists(st.lists(values, min_size=items, max_size=items), min_size=users, max_size=users))
    )
    targets = np.array(data.draw(st.lists(st.integers(0, items - 1), min_size=users, max_size=users)))
    histories = data.draw(st.lists(st.lists(st.integers(0, items - 1), max_size=3), min_size=users, max_size=users))
    negatives = np.array(
        data.draw(
            st.lists(
                st.lists(st.integers(-1, items - 1), min_size=2, max_size=2, unique=True),
                min_size=users,
                max_size=users,
            )
        )
    )
    negatives[negatives == targets[:, None]] = NO_ITEM
    rows = queries(histories)
    everything = set(range(items))

    def ranks(**options: Any) -> list[int]:
        return target_ranks(Table(scores_UN), rows, targets, batch_size=2, **options).tolist()

    expected = [(scores_UN[u], int(targets[u])) for u in range(users)]
    assert ranks() == [slow_rank(s, t, everything) for s, t in expected]
    assert ranks(rank_met=False) == [
        slow_rank(s, t, everything - set(history)) for (s, t), history in zip(expected, histories, strict=True)
    ]
    assert ranks(negatives_UM=negatives) == [
        slow_rank(s, t, set(row.tolist()) - {NO_ITEM}) for (s, t), row in zip(expected, negatives, strict=True)
    ]


def test_equal_scores_give_the_last_rank_and_so_does_nan() -> None:
    scores = torch.zeros(2, 5)
    scores[1] = torch.nan
    assert target_ranks(Table(scores), queries([[0], [1]]), np.array([2, 3]), batch_size=8).tolist() == [5, 5]


def test_batches_are_bounded_and_change_nothing() -> None:
    scores = torch.randn(23, 40, generator=torch.Generator().manual_seed(0))
    rows, targets = queries([[u % 40] for u in range(23)]), np.arange(23)
    model = Table(scores)
    seen: list[tuple[str, int, int]] = []
    small = target_ranks(model, rows, targets, batch_size=5, progress=lambda *step: seen.append(step))
    assert model.largest == 5
    assert model.evaluations == 1
    assert seen == [("evaluate", done, 5) for done in range(1, 6)]
    assert (small == target_ranks(Table(scores), rows, targets, batch_size=1000)).all()


def test_training_mode_is_restored_also_after_an_error() -> None:
    model = Table(torch.zeros(2, 3))
    model.train()
    target_ranks(model, queries([[0], [1]]), np.array([0, 1]), batch_size=2)
    assert model.training
    with pytest.raises(IndexError):
        target_ranks(model, queries([[0], [1], [2]]), np.array([0, 1, 2]), batch_size=3)
    assert model.training


def test_scores_of_another_shape_are_refused() -> None:
    class Wrong(Table):
        def scores(self, queries: Queries) -> Tensor:
            return torch.zeros(3)

    with pytest.raises(ValueError, match=r"Wrong.scores must return one row a query, \[2, N\], got \[3\]"):
        target_ranks(Wrong([[0.0]]), queries([[0], [1]]), np.array([0, 1]), batch_size=2)


def test_no_queries_give_no_ranks() -> None:
    assert target_ranks(Table([[0.0]]), queries([]), np.array([], dtype=np.int64), batch_size=2).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_several_targets_and_lists_equal_a_slow_count(data: st.DataObject) -> None:
    users, items = data.draw(st.integers(1, 6)), data.draw(st.integers(3, 6))
    scores_UN = np.array([data.draw(st.lists(values, min_size=items, max_size=items)) for _ in range(users)])
    targets = np.full((users, 3), NO_ITEM)
    for row in targets:
        own = data.draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=3, unique=True))
        row[: len(own)] = own
    histories = [data.draw(st.lists(st.integers(0, items - 1), max_size=3)) for _ in range(users)]
    rank_met = data.draw(st.booleans())
    count = data.draw(st.integers(1, items + 2))
    found = rankings(
        Table(scores_UN), queries(histories), targets, [None], batch_size=2, rank_met=rank_met, first=count
    )
    assert found.lists_UK.shape == (users, min(count, items))
    for u in range(users):
        worth = [-np.inf if np.isnan(score) else score for score in scores_UN[u]]
        own = [int(target) for target in targets[u] if target != NO_ITEM]
        met = set() if rank_met else set(histories[u])
        for place, target in enumerate(own):
            others = set(range(items)) - met - set(own)
            ahead = sum(worth[n] >= worth[target] for n in others)
            ahead += sum(worth[n] > worth[target] or (worth[n] == worth[target] and i < place)
                         for i, n in enumerate(own) if n != target)  # fmt: skip
            assert found.ranks_CU[0, u, place] == 1 + ahead
        assert (found.ranks_CU[0, u, len(own) :] == 0).all()
        best = sorted((n for n in range(items) if n not in met and worth[n] > -np.inf), key=lambda n: -worth[n])
        assert [n for n in found.lists_UK[u].tolist() if n != NO_ITEM] == best[: found.lists_UK.shape[1]]


def test_of_equal_scores_the_earlier_items_are_listed_first() -> None:
    scores = torch.tensor([[1.0, 2.0, 2.0, 2.0, 2.0, 3.0], [0.0] * 6])
    found = rankings(Table(scores), queries([[0], [0]]), np.array([5, 5]), [None], batch_size=8, first=3)
    assert found.lists_UK.tolist() == [[5, 1, 2], [0, 1, 2]]
