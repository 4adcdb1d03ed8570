"""Measures of lists against slow sums written from the formulas, and against RecTools where that is installed."""

from __future__ import annotations

import doctest
import itertools
from typing import Any

import numpy as np
import pytest
from by_hand import search_data
from scipy.spatial.distance import cosine

from searchplat.contract.measures import BEYOND
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.measures import lists
from trials.training.measures.lists import ListMeasures, gini

USERS, ITEMS, K = 40, 25, 6
NAMES = [name.replace("@10", f"@{K}") for name in BEYOND]


@pytest.fixture
def data() -> SearchData:
    rng = np.random.default_rng(3)
    odds = np.arange(1, ITEMS) / np.arange(1, ITEMS).sum()  # nobody has met the last item; some are met twice
    return search_data([rng.choice(ITEMS - 1, size=rng.integers(2, 9), p=odds) for _ in range(USERS)], ITEMS)


@pytest.fixture
def lists_UK() -> Any:
    rng = np.random.default_rng(4)
    return np.stack([rng.permutation(ITEMS)[:K] for _ in range(USERS)]).astype(np.int32)


def queries(data: SearchData) -> Queries:
    return Queries(np.arange(data.num_users), data.train_items, data.train_offsets)


def slow(data: SearchData, lists_UK: Any) -> dict[str, float]:
    """One number after the other, from the formulas of `docs/measures.md`."""
    rows = [[int(item) for item in row if item >= 0] for row in lists_UK]
    histories = [data.history(u).tolist() for u in range(data.num_users)]
    met = np.array([[item in history for history in histories] for item in range(data.num_items)], dtype=float)
    counts = [sum(history.count(item) for history in histories) for item in range(data.num_items)]
    often = [sum(row.count(item) for row in rows) for item in range(data.num_items)]

    def mean(values: Any) -> float:
        return float(np.mean(list(values)))

    def apart(i: int, j: int) -> float:
        return float(cosine(met[i], met[j])) if met[i].any() and met[j].any() else 1.0

    differences = sum(abs(one - other) for one, other in itertools.product(often, often))
    popularity = mean(mean(counts[item] for item in row) for row in rows if row)
    of_histories = mean(mean(counts[item] for item in history) for history in histories)
    pairs = [list(itertools.combinations(row, 2)) for row in rows]
    return {
        "coverage": len({item for row in rows for item in row}) / data.num_items,
        "gini": differences / (2 * data.num_items * sum(often)),  # the mean difference, relative
        "novelty": mean(mean(-np.log2(max(met[i].sum(), 1) / data.num_users) for i in row) for row in rows if row),
        "diversity": mean(mean(apart(i, j) for i, j in pair) for pair in pairs if pair),
        "popularity": popularity,
        "popularity_lift": popularity / of_histories - 1,
    }


def found(data: SearchData, lists_UK: Any, k: int = K) -> dict[str, float]:
    names = [f"{name.partition('@')[0]}@{k}" for name in NAMES]
    values = ListMeasures(data).summarise(lists_UK, queries(data), names)
    return {name.partition("@")[0]: value for name, value in values.items()}


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(lists, extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("dense", [True, False])
def test_figures_equal_slow_sums(data: SearchData, lists_UK: Any, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not dense:
        monkeypatch.setattr(lists, "DENSE", 0)
        monkeypatch.setattr(lists, "BLOCK", 3 * ITEMS)
    assert found(data, lists_UK) == pytest.approx(slow(data, lists_UK), rel=1e-6)
    assert found(data, lists_UK, 2) == pytest.approx(slow(data, lists_UK[:, :2]), rel=1e-6)


def test_short_and_empty_lists_count_for_what_they_have(data: SearchData, lists_UK: Any) -> None:
    lists_UK[0] = -1
    lists_UK[1, 1:] = -1
    lists_UK[2, 4:] = -1
    assert found(data, lists_UK) == pytest.approx(slow(data, lists_UK), rel=1e-6)


def test_nothing_recommended_is_nothing_measured(data: SearchData, lists_UK: Any) -> None:
    values = found(data, np.full_like(lists_UK, -1))
    assert all(np.isnan(value) for value in values.values())
    assert np.isnan(found(data, lists_UK, 1)["diversity"])


def test_the_same_list_for_all_is_as_uneven_as_can_be(data: SearchData) -> None:
    same = np.tile(np.arange(K, dtype=np.int32), (USERS, 1))
    values = found(data, same)
    assert values["coverage"] == pytest.approx(K / ITEMS)
    assert values["gini"] == pytest.approx(1 - K / ITEMS)
    assert gini(np.full(9, 4)) == 0


def test_figures_equal_those_of_rectools(data: SearchData, lists_UK: Any) -> None:
    """RecTools asks for an older numpy than we do, so it is no test dependency; it runs with ours, though."""
    pd, rectools = pytest.importorskip("pandas"), pytest.importorskip("rectools.metrics")
    from rectools.metrics.distances import PairwiseDistanceCalculator

    users = np.repeat(np.arange(USERS), K)
    places = np.tile(np.arange(1, K + 1), USERS)
    reco = pd.DataFrame({"user_id": users, "item_id": lists_UK.ravel(), "rank": places})
    rows = np.repeat(np.arange(USERS), np.diff(data.train_offsets))
    known = pd.DataFrame({"user_id": rows, "item_id": data.train_items})
    met = np.zeros((ITEMS, USERS))
    met[data.train_items, rows] = 1

    class Cosine(PairwiseDistanceCalculator):  # type: ignore[misc]
        def _get_distances_for_item_pairs(self, first: Any, second: Any) -> Any:
            lengths = np.maximum(np.linalg.norm(met, axis=1), 1)
            pairs = zip(first, second, strict=True)
            return np.array([1 - met[i] @ met[j] / (lengths[i] * lengths[j]) for i, j in pairs])

    values = found(data, lists_UK)
    catalogue = list(range(ITEMS))
    assert values["coverage"] == pytest.approx(rectools.CatalogCoverage(k=K, normalize=True).calc(reco, catalogue))
    assert values["novelty"] == pytest.approx(rectools.MeanInvUserFreq(k=K).calc(reco, known))
    assert values["popularity"] == pytest.approx(rectools.AvgRecPopularity(k=K).calc(reco, known))
    diversity = rectools.IntraListDiversity(k=K, distance_calculator=Cosine())
    assert values["diversity"] == pytest.approx(diversity.calc(reco))
    history = known.assign(rank=known.groupby("user_id").cumcount() + 1)
    of_histories = rectools.AvgRecPopularity(k=100).calc(history, known)
    assert values["popularity_lift"] == pytest.approx(values["popularity"] / of_histories - 1)
