"""Whole searches of a benchmark, those that are missing, one after the other: for scripts that write a CSV file."""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from problems import PROBLEMS

Measure = Callable[[str, str, int, Path], list[dict[str, Any]]]


def sitting(
    about: str | None, results: Path, columns: Sequence[str], problems: Sequence[str], searchers: Sequence[str],
    measure: Measure, table: Callable[[Path], str],
) -> int:  # fmt: skip
    """Carry out the searches that are missing in the results, or print the table.

    Args:
        about: The script's help.
        results: Where they are by default.
        columns: Of the results; three of them are `problem`, `searcher` and `seed`.
        problems, searchers: By default.
        measure: The lines of one search, of a problem, a searcher, a seed and a folder for its trials.
        table: Of results.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(problems))
    parser.add_argument("--searchers", nargs="+", choices=list(searchers), default=list(searchers))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further search after so many")
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--working", type=Path, default=Path(tempfile.gettempdir()) / f"{results.stem}-runs")
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.results))
        return 0
    arguments.working.mkdir(parents=True, exist_ok=True)
    until = time.time() + arguments.seconds
    done: set[tuple[str, ...]] = set()
    if arguments.results.exists():
        with arguments.results.open(newline="") as file:
            done = {(row["problem"], row["searcher"], row["seed"]) for row in csv.DictReader(file)}
    else:
        arguments.results.write_text(",".join(columns) + "\n")
    for seed in range(arguments.seeds):
        for problem in arguments.problems:
            for searcher in arguments.searchers:
                if (problem, searcher, str(seed)) in done:
                    continue
                if time.time() > until:
                    return 0
                began = time.process_time()
                lines = measure(problem, searcher, seed, arguments.working)
                with arguments.results.open("a", newline="") as file:
                    csv.DictWriter(file, columns, lineterminator="\n").writerows(lines)
                print(problem, searcher, seed, f"{time.process_time() - began:.0f} s", flush=True)
    return 0
