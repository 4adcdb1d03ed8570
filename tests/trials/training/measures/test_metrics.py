"""Measures of targets against ir_measures, which asks trec_eval, with one target a user and with several."""

from __future__ import annotations

import doctest
from typing import Any

import ir_measures
import numpy as np
import pytest

from searchplat.contract import measures
from trials.training.measures import metrics


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(metrics).failed == 0
    assert doctest.testmod(measures).failed == 0


def reference(k: int) -> dict[str, Any]:
    return {
        "mrr": ir_measures.RR,
        f"mrr@{k}": ir_measures.RR @ k,
        f"recall@{k}": ir_measures.R @ k,
        f"ndcg@{k}": ir_measures.nDCG @ k,
        f"map@{k}": ir_measures.AP @ k,
        f"precision@{k}": ir_measures.P @ k,
    }


@pytest.mark.parametrize("targets", [1, 5])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_figures_equal_those_of_a_reference_implementation(k: int, targets: int) -> None:
    rng = np.random.default_rng(k)
    scores_UN = rng.permuted(np.tile(np.arange(30.0), (40, 1)), axis=1)
    targets_UT = rng.permuted(np.tile(np.arange(30), (40, 1)), axis=1)[:, :targets]
    there_UT = np.arange(targets) < rng.integers(1, targets + 1, size=(40, 1))
    own_UT1 = np.take_along_axis(scores_UN, targets_UT, axis=1)[:, :, None]
    ranks_UT = np.where(there_UT, 1 + (scores_UN[:, None] > own_UT1).sum(axis=2), 0)
    qrels = [ir_measures.Qrel(str(u), str(targets_UT[u, t]), 1) for u, t in zip(*np.nonzero(there_UT), strict=True)]
    run = [ir_measures.ScoredDoc(str(u), str(n), scores_UN[u, n]) for u in range(40) for n in range(30)]
    expected = ir_measures.calc_aggregate(list(reference(k).values()), qrels, run)
    found = metrics.summarise(ranks_UT, reference(k))
    for name, measure in reference(k).items():
        assert found[name] == pytest.approx(expected[measure], abs=1e-9), name
    if targets == 1:
        assert metrics.summarise(ranks_UT[:, 0], reference(k)) == pytest.approx(found)


@pytest.mark.parametrize("name", ["map", "mrr@", "ndcg", "recall@0", "ndcg@-1", "NDCG@10", "recall@10 ", "", "gini"])
def test_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not known; known are mrr, mrr@k, recall@k, .* and popularity_lift@k"):
        metrics.parse(name)


def test_rank_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="ranks start at 1, got 0"):
        metrics.parse("mrr").per_query([1, 0])
    with pytest.raises(ValueError, match="ranks start at 1, got 0"):
        metrics.parse("mrr").per_query([[1, 0], [0, 0]])


def test_lists_are_no_ranks() -> None:
    with pytest.raises(ValueError, match="gini is made of lists, not of ranks"):
        metrics.parse("gini@10").per_query([1])
    with pytest.raises(ValueError, match="write 'gini@10'"):
        measures.check("cold/gini@10")


def test_no_queries_give_nan() -> None:
    assert np.isnan(metrics.summarise([], ["mrr"])["mrr"])
    assert np.isnan(metrics.summarise(np.zeros((0, 3)), ["map@10"])["map@10"])
