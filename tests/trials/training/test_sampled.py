"""Rankings among sampled items beside those among all: the same scores, negatives drawn once and never met."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from method_cases import CASES, Bench

from searchplat.contract import FinalJob, TestPermit
from searchplat.contract.measures import unasked
from searchplat.errors import InputError
from searchplat.firewall import ISSUER
from trials.data import open_final
from trials.training.measures.evaluation import rankings, target_ranks
from trials.training.measures.metrics import summarise
from trials.training.method import sampled

PERMIT = TestPermit("s", 1, 1, ISSUER)
SETTINGS: dict[str, Any] = {"sampled_negatives": 10, "sampled_by": "popularity"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(CASES["sasrec"], tmp_path / "cache")


def test_both_rankings_are_those_made_apart(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path / "run", **SETTINGS)
    queries, targets_U = loop.data.valid_queries(), loop.data.valid_target_U
    calls = []
    both = rankings(
        loop.model,
        queries,
        targets_U,
        [None, loop.negatives_UM],
        batch_size=25,
        progress=lambda *step: calls.append(step),
    ).ranks_CU
    assert len(calls) == 3  # scored once
    apart = [
        target_ranks(loop.model, queries, targets_U, batch_size=60, negatives_UM=m) for m in (None, loop.negatives_UM)
    ]
    assert (both == np.stack(apart)).all()
    assert both[1].max() <= 11
    assert (both[0] >= both[1]).all()


def test_an_epoch_reports_both_and_neither_if_it_diverged(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path / "run", **SETTINGS)
    found = loop.run_epoch()
    ranks_U = loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U, loop.negatives_UM)
    names = loop.config.metrics
    assert {name: found[f"valid/sampled/{name}"] for name in names} == pytest.approx(summarise(ranks_U, names))
    assert not any("sampled" in name for name in bench.start(tmp_path / "other").run_epoch())
    loop.model.encoder.norm.bias.data.fill_(math.nan)
    diverged = loop.run_epoch()
    assert all(math.isnan(diverged[f"valid/{way}{name}"]) for way in ("", "sampled/") for name in names)


def test_the_test_is_among_items_that_the_user_never_met(bench: Bench, tmp_path: Path) -> None:
    job = FinalJob(bench.job(tmp_path / "run", **SETTINGS), "valid/mrr")
    training = bench.method.start_final(job)
    training.run_epoch()
    training.save()
    tested = training.test(PERMIT, ["mrr", "ndcg@10"])
    assert {name for name in tested.metrics if not unasked(name)} == {
        "mrr",
        "ndcg@10",
        "sampled/mrr",
        "sampled/ndcg@10",
    }
    assert tested.metrics["sampled/mrr"] > tested.metrics["mrr"]
    final = open_final(bench.request, bench.assets, PERMIT)
    negatives_UM = sampled(training.config, final, bench.assets)
    assert negatives_UM is not None
    queries = final.test_queries()
    for user, row in enumerate(negatives_UM.tolist()):
        assert len(set(row)) == 10
        assert not set(row) & {*queries.history(user).tolist(), int(final.test_target_U[user])}
    ranks_U = training.ranks(queries, final.test_target_U, negatives_UM)
    assert tested.metrics["sampled/mrr"] == pytest.approx(float((1 / ranks_U).mean()))


def test_all_trials_rank_against_the_same_items(bench: Bench, tmp_path: Path) -> None:
    one = bench.start(tmp_path / "one", seed=1, **SETTINGS)
    other = bench.start(tmp_path / "other", seed=2, learning_rate=0.05, **SETTINGS)
    redrawn = bench.start(tmp_path / "redrawn", sampled_seed=1, **SETTINGS)
    assert one.negatives_UM is not None
    assert np.array_equal(one.negatives_UM, other.negatives_UM)
    assert not np.array_equal(one.negatives_UM, redrawn.negatives_UM)
    met = [{*one.data.history(u).tolist(), int(one.data.valid_target_U[u])} for u in range(one.data.num_users)]
    assert not any(met[u] & set(row.tolist()) for u, row in enumerate(one.negatives_UM))


def test_too_many_are_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the number of sampled negatives must lie in"):
        bench.start(tmp_path / "run", sampled_negatives=40)
