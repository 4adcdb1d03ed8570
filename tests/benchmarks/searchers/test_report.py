"""What `RESULTS.md` and `docs/pr.md` say of the comparison is what the committed runs have."""

from __future__ import annotations

from pathlib import Path

import final_choice
import known_hyperparameters
import numpy as np
import pytest
from report import Curves, at, curves, overall, pairwise, table
from run import CHECKPOINTS, OUTSIDE_RESULTS, RESULTS
from shared_weights import SHARED
from shared_weights import table as taus

PAGE = Path(__file__).parents[1] / "RESULTS.md"
SEVEN = ("layers-36", "nk-36-3", "labs-30", "labs-30-noisy", "contamination-36-noisy", "ackley-13", "darec-table")
CHOICES = ("nas-bench-201", "fcnet-protein", "pest-control")
MEASURED = ("breast-cancer-30", "nas-graph-cora", "maxsat-60", "digits-64")
TEN = (*SEVEN, "breast-cancer-30", "maxsat-60", "digits-64")
OWN = ("random", "tpe", "gp", "botorch", "pr")


def _found(problems: tuple[str, ...], names: tuple[str, ...]) -> Curves:
    both = curves(RESULTS, "observed") | curves(OUTSIDE_RESULTS, "observed")
    return {key: runs for key, runs in both.items() if key[0] in problems and key[1] in names}


@pytest.mark.parametrize(
    ("problems", "names"),
    [
        (SEVEN, (*OWN, "bounce")),
        (CHOICES, OWN),
        (MEASURED, OWN),
    ],
)
def test_the_page_has_the_figures_of_the_committed_runs(problems: tuple[str, ...], names: tuple[str, ...]) -> None:
    page = PAGE.read_text()
    found = _found(problems, names)
    lines = [line for line in table(found).splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + len(problems) * len(CHECKPOINTS)
    missing = [line for line in (*lines, *overall(found).splitlines()) if line and line not in page]
    assert not missing


def test_pr_has_the_lowest_mean_over_the_seven_problems_at_every_budget() -> None:
    assert all(ratio < 1 for ratio in _ratios(SEVEN, (*OWN, "bounce")))


def test_pr_has_the_lowest_mean_over_the_choices_and_is_level_after_100() -> None:
    after_30, after_60, after_100 = _ratios(CHOICES, OWN)
    assert after_30 < 1
    assert after_60 < 1
    assert after_100 == pytest.approx(1, abs=0.05)


def test_pr_has_the_lowest_mean_over_what_others_measured() -> None:
    assert all(0.76 < ratio < 0.87 for ratio in _ratios(MEASURED, OWN))


def test_over_all_fourteen_pr_is_ahead_as_the_page_says() -> None:
    after_30, after_60, after_100 = _ratios((*SEVEN, *CHOICES, *MEASURED), OWN)
    said = f"PR's mean is {after_30:.2f}, {after_60:.2f} and {after_100:.2f} of the best other's after 30, 60 and 100."
    assert said in PAGE.read_text()


@pytest.mark.parametrize(
    ("problems", "others"),
    [(SEVEN, {"bounce", "casmopolitan", "smac-rf", "mcbo-to-ga", "optuna-gp-int"}), (TEN, {"bounce"})],
)
def test_pr_is_ahead_of_each_searcher_of_other_projects(problems: tuple[str, ...], others: set[str]) -> None:
    lines = pairwise(_found(problems, ("pr", *others))).splitlines()
    assert not [line for line in lines if line not in PAGE.read_text()]
    rows = [line.split("|") for line in lines[2:]]
    assert {row[1].strip() for row in rows} == others
    assert all(float(row[-2]) < 1 for row in rows)


def test_known_hyperparameters_find_no_better_points() -> None:
    lines = known_hyperparameters.table(known_hyperparameters.RESULTS).splitlines()
    assert not [line for line in lines if line not in PAGE.read_text()]
    means = [line.split("|")[-2].split("±") for line in lines if line.startswith("| mean of 5")]
    assert len(means) == len(known_hyperparameters.LOOKS)
    assert all(abs(float(difference)) < float(error) for difference, error in means)


def test_the_model_chooses_better_after_a_search_with_pr() -> None:
    lines = [line for line in final_choice.table(final_choice.RESULTS).splitlines() if line.startswith("| all | ")]
    assert not [line for line in lines if line not in PAGE.read_text()]
    saved = {line.split("|")[2].strip(): line.rsplit("saved ", 1)[1].split(" ± ") for line in lines}
    assert {"pr", "gp", "botorch", "tpe", "random"} == set(saved)
    after_100, error = saved["pr"]
    assert float(after_100) > 1.5 * float(error.rstrip(" |)"))


def _ratios(problems: tuple[str, ...], names: tuple[str, ...]) -> list[float]:
    """PR's mean regret over the problems to the best other's, on the seeds that all have, at each budget."""
    found = _found(problems, names)
    ratios = []
    for evaluations in CHECKPOINTS:
        means = dict.fromkeys(names, 0.0)
        for problem in problems:
            here = {name: at(found[problem, name], evaluations) for name in names}
            shared = set.intersection(*(set(runs) for runs in here.values()))
            for name in names:
                means[name] += float(np.mean([here[name][seed] for seed in shared]))
        ratios.append(means["pr"] / min(mean for name, mean in means.items() if name != "pr"))
    return ratios


def test_the_page_has_the_ranks_that_shared_weights_give() -> None:
    said = taus("smollm2", SHARED)
    assert "valid_mrr: a seed against another 0.11, against the mean of all others 0.17" in said
    after = next(line for line in said.splitlines() if line.startswith("one, 4 epochs, 3 seeds"))
    assert "valid_mrr +0.20, seeds together +0.32; valid_ndcg_at_10 +0.15, seeds together +0.27" in after
    assert "| after 4 epochs (76 s) | +0.20, +0.32 | +0.15, +0.27 |" in PAGE.read_text()
