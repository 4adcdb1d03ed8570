"""What ending a search by its expected gain saves, and what it costs, on problems with a known best.

    python tests/benchmarks/searchers/stopping.py --seeds 6                  what is missing
    python tests/benchmarks/searchers/stopping.py --table                    the table

Every (problem, searcher, seed) is one whole search, with an estimate after every second trial, so what a bound would
have done is read off afterwards. Gains and regrets are in the problem's own scale: 1 is the distance between the best
known and the mean of random points. A line of `stopping.csv` has one search: its estimates, and the noise-free regret
of the point with the best value seen, which is what a user gets, both from the first estimate on.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import json

import numpy as np
from problems import PROBLEMS
from run import SEARCHERS, Task, _trial, carry_out
from sitting import sitting

from searchplat.searchers import History
from searchplat.searchers.gain import expected_gain
from searchplat.spec.model import SearcherSpec

RESULTS = Path(__file__).with_name("stopping.csv")
COLUMNS = ("problem", "searcher", "seed", "trials", "first", "every", "gain", "regret")
PROBLEMS_SHOWN = ("darec-table", "layers-36", "pairs-18", "ackley-13-noisy")
COMPARED = ("pr", "tpe", "random")
EVALUATIONS, FIRST, EVERY, AHEAD = 100, 20, 2, 10
BOUNDS = (0.03, 0.01)
ROW = 2
"""Estimates in a row that must be below the bound, as in `searchplat.engine.planning.closing`."""


def measure(problem_name: str, searcher: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """One search, and its line."""
    import torch

    torch.set_num_threads(1)
    task = Task(problem_name, searcher, seed, EVALUATIONS)
    carry_out(task, folder)
    problem = PROBLEMS[problem_name](seed)
    lines = [json.loads(line) for line in (folder / f"{task.name}.jsonl").read_text().splitlines()]
    past = [_trial(number, line) for number, line in enumerate(lines)]
    scale = problem.best - problem.mean
    gains, regrets = [], []
    for number in range(FIRST, len(past) + 1, EVERY):
        history = History(tuple(past[:number]), number)
        gain = expected_gain(problem.space, True, history, AHEAD, seed, {}, SearcherSpec(searcher, SEARCHERS[searcher]))
        assert gain is not None
        leader = max(lines[:number], key=lambda line: line["seen"])
        gains.append(gain / scale)
        regrets.append(problem.regret(problem.value(leader["values"])))
    line = {
        "problem": problem_name, "searcher": searcher, "seed": seed, "trials": len(past), "first": FIRST,
        "every": EVERY, "gain": " ".join(f"{gain:.5f}" for gain in gains),
        "regret": " ".join(f"{regret:.4f}" for regret in regrets),
    }  # fmt: skip
    return [line]


def ended(gains: Sequence[float], bound: float, row: int = ROW) -> int:
    """The place of the estimate by which a search ends; the last one if it does not.

    >>> ended([0.3, 0.1, 0.3, 0.1, 0.1, 0.3], 0.2), ended([0.3, 0.1, 0.3], 0.2)
    (4, 2)
    """
    low = 0
    for place, gain in enumerate(gains):
        low = low + 1 if gain < bound else 0
        if low >= row:
            return place
    return len(gains) - 1


def table(path: Path) -> str:
    """Per problem and searcher: trials saved and regret lost at each bound, and what was promised against what came."""
    groups: dict[tuple[str, str], list[tuple[list[float], list[float]]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            own = [float(word) for word in row["gain"].split()], [float(word) for word in row["regret"].split()]
            groups.setdefault((row["problem"], row["searcher"]), []).append(own)
    heads = [f"{what} at {bound}" for bound in BOUNDS for what in ("trials", "regret lost")]
    lines = [
        f"| problem | searcher | seeds | regret after {EVALUATIONS} | {' | '.join(heads)} | expected, came |",
        "|---" * (5 + len(heads)) + "|",
    ]
    for (problem, searcher), runs in groups.items():
        cells = [problem, searcher, str(len(runs)), f"{np.mean([regrets[-1] for _, regrets in runs]):.3f}"]
        for bound in BOUNDS:
            places = [ended(gains, bound) for gains, _ in runs]
            lost = [regrets[place] - regrets[-1] for (_, regrets), place in zip(runs, places, strict=True)]
            cells.append(f"{np.mean([FIRST + EVERY * place for place in places]):.0f}")
            cells.append(f"{np.mean(lost):+.3f} (worst {max(lost):+.3f})")
        step = AHEAD // EVERY
        promised = [gain for gains, _ in runs for gain in gains[:-step]]
        came = [a - b for _, regrets in runs for a, b in zip(regrets[:-step], regrets[step:], strict=True)]
        cells.append(f"{np.mean(promised):.3f}, {np.mean(came):.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(sitting(__doc__, RESULTS, COLUMNS, PROBLEMS_SHOWN, COMPARED, measure, table))
