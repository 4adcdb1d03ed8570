"""What it saves to choose in the end by a model of all trials, and not by the best value, where the best is known.

    python tests/benchmarks/searchers/final_choice.py --seeds 6              what is missing
    python tests/benchmarks/searchers/final_choice.py --table                the table

Every (problem, searcher, seed) is one whole search, of which the first 30, 60 and 100 trials are looked at: the point
with the best value, and that which `searchplat best --model` would name. A line of `final_choice.csv` has their
noise-free regrets, in the problem's own scale: 1 is the distance between the best known and the mean of random points.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import json

import numpy as np
from problems import PROBLEMS
from run import Task, _trial, carry_out
from sitting import sitting

from searchplat.searchers import History
from searchplat.searchers.estimates import estimates

RESULTS = Path(__file__).with_name("final_choice.csv")
COLUMNS = ("problem", "searcher", "seed", "trials", "by_value", "by_model")
PROBLEMS_SHOWN = (
    "darec-table", "layers-36", "pairs-18", "labs-30-noisy", "contamination-36-noisy", "ackley-13-noisy", "nk-36-3",
)  # fmt: skip
COMPARED = ("pr", "gp", "botorch", "tpe", "random")
LOOKS = (30, 60, 100)


def measure(problem_name: str, searcher: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """One search, and its lines."""
    import torch

    torch.set_num_threads(1)
    task = Task(problem_name, searcher, seed, max(LOOKS))
    carry_out(task, folder)
    problem = PROBLEMS[problem_name](seed)
    lines = [json.loads(line) for line in (folder / f"{task.name}.jsonl").read_text().splitlines()]
    past = [_trial(number, line) for number, line in enumerate(lines)]
    found = []
    for number in LOOKS:
        leader = max(range(number), key=lambda n: lines[n]["seen"])
        believed = estimates(problem.space, True, History(tuple(past[:number]), number), {})
        chosen = leader if believed is None else max(believed, key=lambda n: believed[n].mean)
        regrets = [f"{problem.regret(problem.value(lines[n]['values'])):.4f}" for n in (leader, chosen)]
        found.append(
            {"problem": problem_name, "searcher": searcher, "seed": seed, "trials": number,
             "by_value": regrets[0], "by_model": regrets[1]}
        )  # fmt: skip
    return found


def table(path: Path) -> str:
    """Per problem and searcher: mean regret by value and by model after each number of trials, and how sure it is."""
    groups: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            pair = float(row["by_value"]), float(row["by_model"])
            groups[row["problem"], row["searcher"]][int(row["trials"])].append(pair)
            groups["all", row["searcher"]][int(row["trials"])].append(pair)
    heads = [f"after {number}: by value, by model" for number in LOOKS]
    lines = [f"| problem | searcher | searches | {' | '.join(heads)} |", "|---" * (3 + len(heads)) + "|"]
    for (problem, searcher), looks in sorted(groups.items(), key=lambda item: item[0][0] == "all"):
        cells = [problem, searcher, str(len(looks[LOOKS[0]]))]
        for number in LOOKS:
            pairs = np.array(looks[number])
            saved = pairs[:, 0] - pairs[:, 1]
            error = saved.std(ddof=1) / len(saved) ** 0.5 if len(saved) > 1 else float("nan")
            means = pairs.mean(0)
            cells.append(f"{means[0]:.3f}, {means[1]:.3f} (saved {saved.mean():+.3f} ± {error:.3f})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(sitting(__doc__, RESULTS, COLUMNS, PROBLEMS_SHOWN, COMPARED, measure, table))
