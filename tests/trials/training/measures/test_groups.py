"""Figures over groups of targets and users, for every method, on validation and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from by_hand import search_data
from method_cases import CASES, Bench

from searchplat.contract import FinalJob, TestPermit, group_ranks_file
from searchplat.contract.measures import BEYOND, GROUPS
from searchplat.firewall import ISSUER
from trials.training.measures.groups import cold_items, group_ranks, items_of, users_of
from trials.training.settings.config import LoopConfig

PERMIT = TestPermit("s", 1, 1, ISSUER)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(CASES["sasrec"], tmp_path / "cache")


def test_cold_are_the_rarest_items_in_training() -> None:
    data = search_data([[0, 1, 2, 3], [0, 1, 2], [0, 1]], num_items=7)  # counts 3 3 2 1 0 0 0; floor(0.35 * 7) = 2
    assert np.flatnonzero(cold_items(data)).tolist() == [4, 5]  # of equally rare ones the earlier


def test_metrics_of_cold_items_are_means_over_their_users(bench: Bench, tmp_path: Path) -> None:
    names = ("mrr", "recall@10", "cold/mrr", "cold/recall@10")
    loop = bench.start(tmp_path / "run", metrics=names)
    found = loop.run_epoch()
    ranks_U = loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U)
    cold_U = cold_items(loop.data)[loop.data.valid_target_U]
    assert 0 < cold_U.sum() < len(cold_U)
    assert found["valid/mrr"] == pytest.approx(np.mean(1 / ranks_U))
    assert found["valid/cold/mrr"] == pytest.approx(np.mean(1 / ranks_U[cold_U]))
    assert found["valid/cold/recall@10"] == pytest.approx(np.mean(ranks_U[cold_U] <= 10))


def test_without_cold_targets_there_are_no_figures(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path / "run")
    popular = int(loop.data.popularity_N().argmax())
    queries = loop.data.valid_queries()
    targets_U = np.full(len(queries), popular, dtype=np.int32)
    _, found = loop.measure(queries, targets_U, None, ["mrr", "cold/mrr"])
    assert set(found) == {"mrr"}


def test_a_name_that_is_no_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="'hits' is not known"):
        LoopConfig(metrics=("mrr", "cold/hits"))


def test_the_test_keeps_the_ranks_of_users_with_cold_items(bench: Bench, tmp_path: Path) -> None:
    training = bench.method.start_final(FinalJob(bench.job(tmp_path / "final"), "valid/mrr"))
    training.run_epoch()
    training.save()
    tested = training.test(PERMIT, ["mrr", "cold/mrr"])
    cold_ranks = np.load(tested.ranks.with_name(group_ranks_file("cold")))
    assert 0 < len(cold_ranks) < tested.num_users
    assert tested.metrics["cold/mrr"] == pytest.approx(np.mean(1 / cold_ranks))


def test_popularity_is_cut_into_thirds_of_the_interactions() -> None:
    data = search_data([[0, 1, 2, 3], [0, 1, 2], [0, 1], [0]], num_items=6)  # counts 4 3 2 1 0 0
    assert np.flatnonzero(items_of("head", data)).tolist() == [0]
    assert np.flatnonzero(items_of("torso", data)).tolist() == [1]
    assert np.flatnonzero(items_of("tail", data)).tolist() == [2, 3, 4, 5]
    assert (items_of("warm", data) == ~items_of("cold", data)).all()


def test_histories_are_cut_into_thirds_of_the_users() -> None:
    data = search_data([[0] * length for length in (1, 2, 3, 4, 5, 6, 6)], num_items=1)
    assert np.flatnonzero(users_of("short", data)).tolist() == [0, 1, 2]
    assert np.flatnonzero(users_of("medium", data)).tolist() == [3, 4]
    assert np.flatnonzero(users_of("long", data)).tolist() == [5, 6]
    equal = search_data([[0, 0]] * 5, num_items=1)
    assert users_of("short", equal).all()
    assert not users_of("long", equal).any()


def test_of_several_targets_those_in_the_group_count() -> None:
    data = search_data([[0, 1, 2, 3], [0, 1, 2], [0, 1]], num_items=7)  # cold are 4 and 5
    targets_UT = np.array([[0, 4, 5], [1, -1, -1], [5, 0, -1]])
    ranks_UT = np.array([[1, 2, 3], [4, 0, 0], [5, 6, 0]])
    assert group_ranks("cold", data, np.arange(3), targets_UT, ranks_UT).tolist() == [[0, 2, 3], [5, 0, 0]]
    assert group_ranks("warm", data, np.arange(3), targets_UT, ranks_UT).tolist() == [[1, 0, 0], [4, 0, 0], [0, 6, 0]]
    assert group_ranks("short", data, np.array([2, 0]), targets_UT[[2, 0]], ranks_UT[[2, 0]]).tolist() == [[5, 6, 0]]


def test_a_test_takes_its_figures_apart_whether_asked_or_not(bench: Bench, tmp_path: Path) -> None:
    training = bench.method.start_final(FinalJob(bench.job(tmp_path / "final"), "valid/mrr"))
    training.run_epoch()
    training.save()
    tested = training.test(PERMIT, ["mrr", "long/mrr"])
    found = tested.metrics
    assert set(BEYOND) <= set(found)
    sizes = {group: found.get(f"{group}/users", 0.0) for group in GROUPS}
    for parts in (("cold", "warm"), ("tail", "torso", "head"), ("short", "medium", "long")):
        assert sum(sizes[group] for group in parts) == tested.num_users
        whole = sum(sizes[group] * found[f"{group}/mrr"] for group in parts if sizes[group]) / tested.num_users
        assert whole == pytest.approx(found["mrr"])
    long = np.load(tested.ranks.with_name(group_ranks_file("long")))
    assert found["long/mrr"] == pytest.approx(np.mean(1 / long))
    assert not tested.ranks.with_name(group_ranks_file("short")).exists()
