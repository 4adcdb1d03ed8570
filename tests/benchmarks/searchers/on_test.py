"""What finished runs chose on problems with a test set: accuracy on validation, which they saw, and on the test.

    python tests/benchmarks/searchers/run.py --problems breast-cancer-30 digits-64 --working runs
    python tests/benchmarks/searchers/on_test.py --working runs

Chosen is the point with the best value that its searcher saw, after the first 30, 60 and 100 evaluations.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from outside.catalogue import OUTSIDE
from problems import PROBLEMS
from run import CHECKPOINTS, SEARCHERS, Task

FEATURES = ("breast-cancer-30", "digits-64")


def accuracies(task: Task, folder: Path) -> dict[int, tuple[float, float]]:
    """By number of evaluations: the chosen point's mean accuracy on validation, and that on the test."""
    problem = PROBLEMS[task.problem](task.seed)
    assert problem.test is not None
    lines = [json.loads(line) for line in (folder / task.file).read_text().splitlines()]
    found = {}
    for evaluations in CHECKPOINTS:
        if len(lines) >= evaluations:
            chosen = max(lines[:evaluations], key=lambda line: line["seen"])["values"]
            found[evaluations] = problem.value(chosen), problem.test(chosen)
    return found


def table(folder: Path, evaluations: int) -> str:
    """Means with their standard errors over the seeds that are there."""
    lines = ["| problem | searcher | evaluations | seeds | validation | test |", "|---" * 6 + "|"]
    for problem in FEATURES:
        for searcher in (*SEARCHERS, *OUTSIDE):
            runs = defaultdict(list)
            for seed in range(100):
                task = Task(problem, searcher, seed, evaluations)
                if (folder / task.file).exists():
                    for number, pair in accuracies(task, folder).items():
                        runs[number].append(pair)
            for number, pairs in runs.items():
                values = np.array(pairs)
                errors = values.std(0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else [float("nan")] * 2
                cells = [f"{mean:.4f} ± {error:.4f}" for mean, error in zip(values.mean(0), errors, strict=True)]
                lines.append(f"| {problem} | {searcher} | {number} | {len(values)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--working", type=Path, required=True, help="of run.py")
    parser.add_argument("--evaluations", type=int, default=max(CHECKPOINTS), help="as run.py was asked for")
    arguments = parser.parse_args()
    print(table(arguments.working, arguments.evaluations))
    return 0


if __name__ == "__main__":
    sys.exit(main())
