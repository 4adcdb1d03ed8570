"""Figures on cold items: the bottom 35 % by training interactions, for every method, on validation and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from by_hand import search_data
from method_cases import CASES, Bench

from searchplat.contract import COLD_RANKS, FinalJob, TestPermit
from searchplat.firewall import ISSUER
from trials.training.cold import cold_items
from trials.training.config import LoopConfig

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
    cold_ranks = np.load(tested.ranks.with_name(COLD_RANKS))
    assert 0 < len(cold_ranks) < tested.num_users
    assert tested.metrics["cold/mrr"] == pytest.approx(np.mean(1 / cold_ranks))
