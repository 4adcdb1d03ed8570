"""`searchplat compare` on promotions written into real ledgers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.promotion.record import FINISHED, Promotion, PromotionRun, PromotionStore
from searchplat.promotion.statistics import per_user

Run = Callable[..., Result]
METRICS = ("mrr", "recall@10")


@pytest.fixture
def promoted(half_done: tuple[SearchFolder, Ledger]) -> SearchFolder:
    """The search `first`, promoted: a winner that is better than its controls."""
    folder, ledger = half_done
    store = PromotionStore(ledger, folder.path)
    plan = Promotion(
        search="first", number=0, data="toy", data_options={}, data_fingerprint="f", num_users=200, metrics=METRICS,
        search_scores={"trial-11": 0.35, "default": 0.30, "all-serial": 0.28}, lineage={}, test_openings=0, runs=(),
    )  # fmt: skip
    number = store.create(plan, {})
    for place, (candidate, mean) in enumerate({"trial-11": 3.0, "default": 9.0, "all-serial": 10.0}.items()):
        for seed in (1, 2):
            ranks = 1 + np.random.default_rng([place, seed]).poisson(mean, size=200).astype(np.int32)
            path = folder.path / "final" / f"{candidate}-{seed}.npy"
            path.parent.mkdir(exist_ok=True)
            np.save(path, ranks)
            found = {metric: float(per_user(metric, ranks).mean()) for metric in METRICS}
            run = PromotionRun(
                candidate=candidate, trial=11, control=None if place == 0 else candidate, method="rehearsal", config={},
                seed=seed, phase="final", folder=path.parent, state=FINISHED, valid=found, test=found, seconds=75.0,
                peak_bytes=1e9, parameters=5000, ranks=path,
            )  # fmt: skip
            store.put(number, run)
            store.count_opening(number, run)
    return folder


def test_the_table_on_a_terminal(cli: Run, promoted: SearchFolder) -> None:
    done = cli("compare", "first")
    assert done.exit_code == 0, done.output
    lines = done.output.split("\n")
    assert lines[0] == "toy, 200 test users"
    assert lines[1].split() == ["method", "mrr", "recall@10", "seeds", "s", "a", "seed", "peak", "MiB", "trained"]
    assert lines[2].startswith("rehearsal trial-11 ")
    assert "**" in lines[2]
    assert "Kendall's tau of search and final score +1.00" in done.output
    assert "opened 6 times" in done.output
    assert max(map(len, lines[:6])) <= 120


def test_on_a_narrow_terminal_cost_stands_below_quality(
    cli: Run, promoted: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchplat.views.output._UNCUT", 78)
    lines = cli("compare", "first").output.split("\n")
    assert lines[1].split() == ["method", "mrr", "recall@10"]
    assert lines[6].split()[:2] == ["method", "seeds"]
    tests = lines[lines.index("rehearsal trial-11 less rehearsal default, toy, mean over users") + 1 :][:3]
    assert [line.split()[0] for line in tests] == ["metric", "mrr", "recall@10"]


def test_json_and_files(cli: Run, promoted: SearchFolder) -> None:
    found = json.loads(cli("compare", "first", "--json").output)
    assert [row["label"] for row in found["data"][0]["rows"]] == [
        "rehearsal trial-11", "rehearsal default", "rehearsal all-serial",
    ]  # fmt: skip
    assert cli("compare", "first", "--format", "markdown").output.startswith("| data | method | mrr |")
    assert r"\begin{tabular}" in cli("compare", "first", "--format", "latex").output
    assert cli("compare", "first", "--format", "csv").output.startswith("data,users,label,")
    both = cli("compare", "first", "--json", "--format", "latex")
    assert (both.exit_code, "give one of the two" in both.stderr) == (2, True)


def test_another_test_another_reference_another_level(cli: Run, promoted: SearchFolder) -> None:
    words = ("compare", "first", "--test", "wilcoxon", "--against", "all-serial", "--alpha", "0.01", "--json")
    found: Any = json.loads(cli(*words).output)
    assert (found["test"], found["alpha"], found["comparisons"]) == ("wilcoxon", 0.01, 4)


def test_what_is_wrong_is_said_in_a_sentence(cli: Run, promoted: SearchFolder) -> None:
    for words, message in [
        (("compare", "nothing"), "there are: first"),
        (("compare", "first", "--against", "x"), "--against: must be one of"),
        (("compare", "first", "--alpha", "5"), "--alpha: must lie in (0, 1), got 5"),
    ]:
        done = cli(*words)
        assert done.exit_code == 2
        assert message in done.output


def test_a_search_that_was_not_promoted(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    done = cli("compare", "first")
    assert done.exit_code == 2
    assert "was not promoted yet" in done.output


def test_one_seed_has_no_deviation(cli: Run, promoted: SearchFolder, tmp_path: Path) -> None:
    with Ledger.open(promoted.ledger_path) as ledger:
        store = PromotionStore(ledger, promoted.path)
        number = store.create(replace(store.load(), runs=()), {})
        store.put(number, *(run for run in store.load(1).runs if run.seed == 1))
    row = json.loads(cli("compare", "first", "--json").output)["data"][0]["rows"][0]
    assert row["metrics"]["mrr"]["sd"] is None
    assert math.isfinite(row["metrics"]["mrr"]["mean"])
    assert "±" not in cli("compare", "first").output


@pytest.fixture
def measured(promoted: SearchFolder, half_done: tuple[SearchFolder, Ledger]) -> SearchFolder:
    """The same promotion with what its tests measured besides."""
    store = PromotionStore(half_done[1], promoted.path)
    for run in store.load(1).runs:
        more = {
            "cold/users": 39.0,
            "cold/mrr": run.test["mrr"] / 2,
            "long/users": 60.0,
            "long/mrr": run.test["mrr"] * 2,
        }
        more |= {"gini@10": 1 - run.test["mrr"], "coverage@10": 0.25, "novelty@10": 3.5 + run.seed / 10}
        store.put(1, replace(run, test={**run.test, **more}))
    return promoted


def test_figures_by_group_and_of_lists_are_shown_on_demand(cli: Run, measured: SearchFolder) -> None:
    plain, shown = cli("compare", "first").output, cli("compare", "first", "--breakdown", "--beyond").output
    assert "gini" not in plain
    lines = shown.split("\n")
    at = lines.index("mrr by group of users, their number in brackets, toy")
    assert lines[at + 1].split() == ["method", "cold", "(39)", "long", "(60)"]
    assert [line.split()[1] for line in lines[at + 2 : at + 5]] == ["trial-11", "default", "all-serial"]
    at = lines.index("Beyond accuracy: lists of 10, toy")
    assert lines[at + 1].split() == ["method", "coverage@10", "gini@10", "novelty@10"]
    assert "0.2500 ± 0.0000" in lines[at + 2]
    assert "3.6500 ± 0.0707" in lines[at + 2]
    for format_ in ("markdown", "latex"):
        text = cli("compare", "first", "--breakdown", "--beyond", "--format", format_).output
        assert text.count("novelty@10") == 1
        assert "cold (39)" in text
    (row, *_) = json.loads(cli("compare", "first", "--json").output)["data"][0]["rows"]
    assert row["further"]["cold/mrr"]["mean"] == pytest.approx(row["metrics"]["mrr"]["mean"] / 2)
    assert "cold/mrr" not in row["metrics"]
    assert ",gini@10," in cli("compare", "first", "--format", "csv").output


def test_promotions_of_before_have_nothing_to_break_down_and_say_so(cli: Run, promoted: SearchFolder) -> None:
    done = cli("compare", "first", "--breakdown")
    assert done.exit_code == 0
    assert "nothing was measured of groups and lists" in done.output
    assert done.output.startswith(cli("compare", "first").output.rstrip("\n"))


def test_the_best_of_a_measure_that_is_to_be_small_is_the_smallest(
    cli: Run, measured: SearchFolder, half_done: tuple[SearchFolder, Ledger]
) -> None:
    PromotionStore(half_done[1], measured.path).update(1, metrics=["mrr", "gini@10", "cold/mrr"])
    rows = json.loads(cli("compare", "first", "--json").output)["data"][0]["rows"]
    assert [row["metrics"]["gini@10"]["place"] for row in rows] == [1, 2, 3]
    assert rows[0]["metrics"]["gini@10"]["comparisons"] == []
    assert "on gini@10" not in cli("compare", "first").output
