"""What a user's belief on good values is worth, where it is good, says little, or is wrong.

    python tests/benchmarks/searchers/user_beliefs.py --seeds 10             what is missing
    python tests/benchmarks/searchers/user_beliefs.py --table                the table

Mixed Ackley, 10 bits and 3 numbers, whose best point has all bits 0 and all numbers at 0.23 of [-1, 1]. `-good` is for
0.4, and twice as much for 0 as for 1; `-neutral` for the middle, by half the axis, and both bits alike; `-wrong` for
-0.6, and twice as much for 1 as for 0. A line of `user_beliefs.csv` has the noise-free regret of the point with the
best value seen.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
from problems import PROBLEMS
from sitting import sitting

from searchplat.searchers import History, PastTrial, TrialState, make_searcher
from searchplat.searchers.points import seed_of
from searchplat.spec.model import SearcherSpec
from searchplat.spec.prior import Prior
from searchplat.spec.space import Layout, Space

RESULTS = Path(__file__).with_name("user_beliefs.csv")
COLUMNS = ("problem", "searcher", "seed", "trials", "regret")
SHOWN = ("ackley-13-noisy",)
BELIEFS = {
    "good": (Prior(0.4, 0.3), Prior(weights=(2, 1))),
    "neutral": (Prior(0.0, 1.0), Prior(weights=(1, 1))),
    "wrong": (Prior(-0.6, 0.3), Prior(weights=(1, 2))),
}
"""Of the numbers, and of the bits."""
COMPARED = tuple(f"{searcher}{kind}" for searcher in ("pr", "tpe") for kind in ("", *(f"-{one}" for one in BELIEFS)))
LOOKS = (10, 20, 30, 60)


def believing(space: Space, kind: str) -> Space:
    """The space with a belief on every axis."""
    numbers, bits = BELIEFS[kind]
    return Space(tuple(replace(d, prior=bits if isinstance(d, Layout) else numbers) for d in space.domains))


def measure(problem_name: str, compared: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """One search, and its lines."""
    import torch

    torch.set_num_threads(1)
    searcher, _, kind = compared.partition("-")
    problem = PROBLEMS[problem_name](seed)
    space = believing(problem.space, kind) if kind else problem.space
    asked = make_searcher(SearcherSpec(searcher, {}), space, (True,), seed)
    trials: list[PastTrial] = []
    for number in range(max(LOOKS)):
        suggestion = asked.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        rng = np.random.default_rng([seed_of(seed, "noise", number) % 2**32])
        seen = problem.observe(suggestion.values, rng)
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (seen,)))
    lines = []
    for number in LOOKS:
        best = max(trials[:number], key=lambda trial: trial.objectives or ())
        regret = f"{problem.regret(problem.value(best.values)):.4f}"
        lines.append({"problem": problem_name, "searcher": compared, "seed": seed, "trials": number, "regret": regret})
    return lines


def shown(path: Path) -> str:
    """Per problem and searcher: mean regret after each number of trials ± its standard error (number of seeds)."""
    groups: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            groups[row["problem"], row["searcher"]][int(row["trials"])].append(float(row["regret"]))
    heads = " | ".join(f"after {number}" for number in LOOKS)
    lines = [f"| problem | searcher | {heads} |", "|---" * (2 + len(LOOKS)) + "|"]
    for problem, searcher in sorted(groups, key=lambda one: (one[0], COMPARED.index(one[1]))):
        looks = groups[problem, searcher]
        lines.append(f"| {problem} | {searcher} | {' | '.join(_cell(looks[number]) for number in LOOKS)} |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{np.mean(values):.3f} ± {error:.3f} ({len(values)})"


if __name__ == "__main__":
    sys.exit(sitting(__doc__, RESULTS, COLUMNS, SHOWN, COMPARED, measure, shown))
