"""What trials of another search are worth: searches with and without the past of a search on another data set.

    python tests/benchmarks/searchers/other_searches.py --seeds 10           what is missing
    python tests/benchmarks/searchers/other_searches.py --table              the table

Architectures of NAS-Bench-Graph, see `nas_graph`. A past is 100 trials of a TPE search, with a seed of its own, on the
other data set. `-past` learns from it; `-unrelated` from 100 random points with the same values, which say nothing. Of
the two pairs, the best 0.1 % of Photo have a mean regret of 0.37 on CS, so much can be learned; the best 0.1 % of Cora
have 0.91 on CiteSeer, hardly better than random, although the ranks of all architectures correlate by 0.6 and 0.5.

A line of `other_searches.csv` has the regret of the point with the best validation accuracy so far, on validation and
on test, where 0 is the best of all architectures and 1 their mean.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
from nas_graph import Table, table
from sitting import sitting

from searchplat.searchers import History, PastTrial, SourceTask, TrialState, make_searcher
from searchplat.searchers.points import seed_of
from searchplat.searchers.transfer import SourceTrial, first_of
from searchplat.spec.model import SearcherSpec

RESULTS = Path(__file__).with_name("other_searches.csv")
COLUMNS = ("problem", "searcher", "seed", "trials", "valid", "test")
OTHER = {"nas-graph-cs": "photo", "nas-graph-citeseer": "cora"}
"""The data set of the past."""
SHOWN = tuple(OTHER)
COMPARED = ("pr", "pr-past", "pr-unrelated", "tpe", "tpe-past", "tpe-unrelated")
LOOKS = (10, 20, 30, 60)
PAST = 100


def search(
    data: Table, searcher: str, seed: int, trials: int, past: Sequence[SourceTask] = (), kept: Path | None = None
) -> list[PastTrial]:
    """A whole search; one that was cut off goes on from the file `kept`, as a searcher is a function of its history."""
    asked = make_searcher(SearcherSpec(searcher, {}), data.space, (True,), seed, {}, past if searcher == "pr" else ())
    # To TPE only points could be given, as it has no discount; that is measured here, and not on offer.
    first = first_of(past, data.space, (True,), seed, {}) if searcher == "tpe" else []
    lines = kept.read_text().splitlines() if kept is not None and kept.exists() else []
    found: list[PastTrial] = []
    for number in range(trials):
        if number < len(lines):
            values = json.loads(lines[number])
        elif number < len(first):
            values = first[number]
        else:
            suggestion = asked.suggest(History(tuple(found), number), number)
            assert suggestion is not None
            values = suggestion.values
            if kept is not None:
                with kept.open("a") as file:
                    file.write(json.dumps(values) + "\n")
        found.append(PastTrial(number, values, TrialState.FINISHED, (data.of(values),)))
    return found


@cache
def past_of(data: str, seed: int, unrelated: bool) -> SourceTask:
    """A search on another data set, as a source of trials."""
    there = table(data)
    trials = search(there, "tpe", seed_of(seed, "other"), PAST)
    rng = np.random.default_rng([seed, 3])
    points = [there.space.sample(rng) if unrelated else trial.values for trial in trials]
    values = [trial.objectives or () for trial in trials]
    return SourceTask(data, "search", tuple(map(SourceTrial, range(PAST), points, values)))


def measure(problem: str, compared: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """One search, and its lines."""
    import torch

    torch.set_num_threads(1)
    searcher, _, kind = compared.partition("-")
    data = table(problem.removeprefix("nas-graph-"))
    past = [past_of(OTHER[problem], seed, kind == "unrelated")] if kind else []
    trials = search(data, searcher, seed, max(LOOKS), past, folder / f"{problem}-{compared}-{seed}.jsonl")
    lines = []
    for number in LOOKS:
        best = max(trials[:number], key=lambda t: t.objectives or ())
        regrets = {name: f"{data.regret(best.values, name == 'test'):.4f}" for name in ("valid", "test")}
        lines.append({"problem": problem, "searcher": compared, "seed": seed, "trials": number, **regrets})
    return lines


def shown(path: Path) -> str:
    """Per problem and searcher: mean regret after each number of trials ± its standard error (number of seeds)."""
    groups: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            groups[row["problem"], row["searcher"]][int(row["trials"])].append(
                (float(row["valid"]), float(row["test"]))
            )
    heads = [f"after {number}: validation, test" for number in LOOKS]
    lines = [f"| problem | searcher | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    order = {name: place for place, name in enumerate(COMPARED)}
    for (problem, searcher), looks in sorted(groups.items(), key=lambda item: (item[0][0], order.get(item[0][1], 99))):
        cells = [problem, searcher, *(_cell(looks[number]) for number in LOOKS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(pairs: Sequence[tuple[float, float]]) -> str:
    if not pairs:
        return ""
    values_S2 = np.array(pairs)
    errors = values_S2.std(0, ddof=1) / len(values_S2) ** 0.5 if len(values_S2) > 1 else [float("nan")] * 2
    figures = (f"{mean:.3f} ± {error:.3f}" for mean, error in zip(values_S2.mean(0), errors, strict=True))
    return f"{', '.join(figures)} ({len(values_S2)})"


if __name__ == "__main__":
    sys.exit(sitting(__doc__, RESULTS, COLUMNS, SHOWN, COMPARED, measure, shown))
