"""What `RESULTS.md` and `docs/pr.md` say of the comparison is what the committed runs have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report import Curves, at, curves, overall, table
from run import CHECKPOINTS, OUTSIDE_RESULTS, RESULTS
from shared_weights import SHARED
from shared_weights import table as taus

PAGE = Path(__file__).parents[1] / "RESULTS.md"
SEVEN = ("layers-36", "nk-36-3", "labs-30", "labs-30-noisy", "contamination-36-noisy", "ackley-13", "darec-table")
CHOICES = ("nas-bench-201", "fcnet-protein", "pest-control")


def _found(problems: tuple[str, ...], names: tuple[str, ...]) -> Curves:
    both = curves(RESULTS, "observed") | curves(OUTSIDE_RESULTS, "observed")
    return {key: runs for key, runs in both.items() if key[0] in problems and key[1] in names}


@pytest.mark.parametrize(
    ("problems", "names"),
    [
        (SEVEN, ("random", "tpe", "gp", "botorch", "pr", "bounce")),
        (CHOICES, ("random", "tpe", "gp", "botorch", "pr")),
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
    assert _lowest(SEVEN, ("random", "tpe", "gp", "botorch", "pr", "bounce")) == {"pr"}


def test_pr_has_the_lowest_mean_over_the_choices_at_every_budget() -> None:
    assert _lowest(CHOICES, ("random", "tpe", "gp", "botorch", "pr")) == {"pr"}


def _lowest(problems: tuple[str, ...], names: tuple[str, ...]) -> set[str]:
    """Who has the lowest mean regret over the problems, on the seeds that all have, at some budget."""
    found = _found(problems, names)
    lowest = set()
    for evaluations in CHECKPOINTS:
        means = dict.fromkeys(names, 0.0)
        for problem in problems:
            here = {name: at(found[problem, name], evaluations) for name in names}
            shared = set.intersection(*(set(runs) for runs in here.values()))
            for name in names:
                means[name] += float(np.mean([here[name][seed] for seed in shared]))
        lowest.add(min(means, key=lambda name: means[name]))
    return lowest


def test_the_page_has_the_ranks_that_shared_weights_give() -> None:
    said = taus("smollm2", SHARED)
    assert "valid_mrr: a seed against another 0.11, against the mean of all others 0.17" in said
    after = next(line for line in said.splitlines() if line.startswith("one, 4 epochs, 3 seeds"))
    assert "valid_mrr +0.20, seeds together +0.32; valid_ndcg_at_10 +0.15, seeds together +0.27" in after
    assert "| after 4 epochs (76 s) | +0.20, +0.32 | +0.15, +0.27 |" in PAGE.read_text()
