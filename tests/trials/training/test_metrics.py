from __future__ import annotations

import doctest

import ir_measures
import numpy as np
import pytest

from trials.training import metrics


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(metrics).failed == 0


@pytest.mark.parametrize("k", [1, 3, 10])
def test_figures_equal_those_of_a_reference_implementation(k: int) -> None:
    rng = np.random.default_rng(k)
    scores_UN = rng.permuted(np.tile(np.arange(30.0), (40, 1)), axis=1)
    targets_U = rng.integers(30, size=40)
    ranks_U = 1 + (scores_UN > scores_UN[np.arange(40), targets_U][:, None]).sum(1)
    qrels = [ir_measures.Qrel(str(u), str(item), 1) for u, item in enumerate(targets_U)]
    run = [ir_measures.ScoredDoc(str(u), str(n), scores_UN[u, n]) for u in range(40) for n in range(30)]
    reference = {
        "mrr": ir_measures.RR,
        f"mrr@{k}": ir_measures.RR @ k,
        f"recall@{k}": ir_measures.R @ k,
        f"ndcg@{k}": ir_measures.nDCG @ k,
    }
    expected = ir_measures.calc_aggregate(list(reference.values()), qrels, run)
    found = metrics.summarise(ranks_U, reference)
    for name, measure in reference.items():
        assert found[name] == pytest.approx(expected[measure], abs=1e-9), name


@pytest.mark.parametrize("name", ["map", "mrr@", "ndcg", "recall@0", "ndcg@-1", "NDCG@10", "recall@10 ", ""])
def test_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not known; known are mrr, mrr@k, recall@k and ndcg@k"):
        metrics.parse(name)


def test_rank_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="ranks start at 1, got 0"):
        metrics.parse("mrr").per_query([1, 0])


def test_no_queries_give_nan() -> None:
    assert np.isnan(metrics.summarise([], ["mrr"])["mrr"])
