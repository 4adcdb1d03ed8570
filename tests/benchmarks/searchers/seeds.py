"""What shared seeds and repeats of promising points are worth: the true regret of the point that a search chooses.

    python tests/benchmarks/searchers/seeds.py                  everything that is missing, an hour or more
    python tests/benchmarks/searchers/seeds.py --table          the table

A trial's value is the point's own, plus what its seed adds to all points alike, plus noise. With seeds of their own
both differ from trial to trial; with shared ones the former is the same for all trials but repeats, of which each has
the next seed. Chosen is the point that `searchplat.ledger.ranking` would choose. Each run is a line of `seeds.csv`.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
from problems import TABLE, Problem, darec_table, layers
from run import RANDOM_POINTS, random_points
from spread import spread

from searchplat.ledger import repeats
from searchplat.ledger.ranking import by_value
from searchplat.ledger.records import TrialRecord
from searchplat.searchers import History, PastTrial, make_searcher
from searchplat.searchers.contract import TrialState
from searchplat.searchers.points import seed_of
from searchplat.spec.model import Objective, SearcherSpec

RESULTS = Path(__file__).with_name("seeds.csv")
COLUMNS = ("problem", "searcher", "form", "seed", "evaluations", "regret", "trained", "seconds")
CHECKPOINTS = (30, 60)
GOAL = (Objective("valid/mrr", maximize=True),)


@dataclass(frozen=True)
class Form:
    """A way to search: whether seeds are shared, and the share of repeats among the best `top`."""

    shared: bool
    share: float = 0.0
    top: int = 3


FORMS = {
    "own": Form(False),
    "shared": Form(True),
    "own, repeats": Form(False, 0.2),
    "shared, repeats": Form(True, 0.2),
}
SEARCHERS: dict[str, dict[str, Any]] = {"pr": {"startup": RANDOM_POINTS}, "tpe": {"startup": RANDOM_POINTS}}


@dataclass(frozen=True)
class Noisy:
    """A problem with both kinds of noise: standard deviations in the problem's own units."""

    problem: Problem
    by_seed: float
    by_trial: float


def _table(_: int) -> Noisy:
    """The table's main effects and pairs as the truth, with both deviations as measured.

    With the mean of both trainings as the truth a repeat would tell it exactly. Single bits are 95 % of it.
    """
    import csv as reader

    from design import effects

    with TABLE.open() as file:
        rows = list(reader.DictReader(line for line in file if not line.startswith("#")))
    values = {(row["layout"], int(row["seed"])): float(row["valid_mrr"]) for row in rows}
    found = spread(values)
    assert found is not None
    names = sorted({name for name, _ in values})
    bits_RB = np.array([[int(bit) for bit in name.replace("-", "")] for name in names])
    means_R = np.array([np.mean([values[name, seed] for seed in range(2)]) for name in names])
    columns_RE = effects(bits_RB)
    fitted = columns_RE @ np.linalg.lstsq(columns_RE, means_R, rcond=None)[0]
    truth = dict(zip(names, map(float, fitted), strict=True))
    problem = replace(
        darec_table(), name="table", value=lambda point: truth[point["layout"]], best=max(truth.values()),
        mean=float(np.mean(fitted)),
    )  # fmt: skip
    return Noisy(problem, float(np.std(found.seed_means, ddof=1)), found.noise)


def _layers(by_seed: float, by_trial: float) -> Callable[[int], Noisy]:
    """36 bits whose layers interact; deviations in units of that of random points."""

    def build(seed: int) -> Noisy:
        problem = layers(noise=1.0, seed=seed)
        return Noisy(problem, by_seed * problem.noise, by_trial * problem.noise)

    return build


PROBLEMS: dict[str, Callable[[int], Noisy]] = {
    "table": _table,
    "layers-36, noise 0.4 and 0.3": _layers(0.4, 0.3),
    "layers-36, noise 1.2 and 1.0": _layers(1.2, 1.0),
}


def search(problem: str, searcher: str, form: Form, seed: int, evaluations: int) -> list[TrialRecord]:
    """A search's trials; equal seeds have the same random points, and the same noise by the number of the training."""
    noisy = PROBLEMS[problem](seed)
    space = noisy.problem.space
    asked = make_searcher(SearcherSpec(searcher, SEARCHERS[searcher]), space, (True,), seed)
    first = random_points(noisy.problem, seed)
    trials: list[TrialRecord] = []
    for number in range(evaluations):
        chosen = None
        if form.share and repeats.due(form.share, number):
            chosen = repeats.next_repeat(by_value(repeats.merged(trials), GOAL)[: form.top], trials)
        if chosen is not None:
            values: Mapping[str, Any] = chosen[0].values
            info = repeats.info_of(*chosen, shared=form.shared)
        else:
            new = sum(repeats.repeated(trial) is None for trial in trials)
            info = {}
            if new < RANDOM_POINTS:
                values = first[new]
            else:
                past = tuple(PastTrial(t.number, t.values, t.state, t.objectives) for t in trials)
                suggestion = asked.suggest(repeats.heard(History(past, number), trials), number)
                assert suggestion is not None
                values = suggestion.values
        training = chosen[1] if chosen else 0
        common = np.random.default_rng([seed, 1, training if form.shared else 1000 + number]).normal()
        alone = np.random.default_rng([seed_of(seed, "noise", number) % 2**32]).normal()
        value = noisy.problem.value(values) + noisy.by_seed * common + noisy.by_trial * alone
        trials.append(
            TrialRecord(
                number, "layout", None, "m", dict(values), dict(values), 1.0, training, info, 0, 0,
                TrialState.FINISHED, objectives=(float(value),),
            )
        )  # fmt: skip
    return trials


def regret(problem: str, seed: int, trials: list[TrialRecord]) -> tuple[float, int]:
    """Of the point that the ranking puts first, with the number of its trainings."""
    noisy = PROBLEMS[problem](seed)
    best = by_value(repeats.merged(trials), GOAL)[0]
    trained = len(repeats.trainings_of(trials)[best.number].numbers)
    return noisy.problem.regret(noisy.problem.value(best.values)), trained


def table(path: Path) -> str:
    """Mean regret with its standard error, and how it differs from seeds of their own, pair by pair."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    got: dict[tuple[str, ...], dict[int, float]] = {}
    for row in rows:
        key = (row["problem"], row["searcher"], row["evaluations"], row["form"])
        got.setdefault(key, {})[int(row["seed"])] = float(row["regret"])
    lines = [f"| problem | searcher | evaluations | seeds | {' | '.join(FORMS)} |", "|---" * (4 + len(FORMS)) + "|"]
    for where in dict.fromkeys(key[:3] for key in got):
        cells, own = [], got.get((*where, "own"), {})
        seeds = 0
        for form in FORMS:
            values = got.get((*where, form), {})
            both = np.array([values[seed] - own[seed] for seed in values if seed in own])
            seeds = max(seeds, len(values))
            if not values:
                cells.append("-")
                continue
            cell = f"{np.mean(list(values.values())):.3f}"
            if form != "own" and len(both) > 1:
                cell += f" ({both.mean():+.3f} ± {both.std(ddof=1) / len(both) ** 0.5:.3f})"
            cells.append(cell)
        lines.append(f"| {' | '.join(where)} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Carry out what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--searchers", nargs="+", choices=list(SEARCHERS), default=list(SEARCHERS))
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.results))
        return 0
    import torch

    torch.set_num_threads(1)
    done: set[tuple[str, ...]] = set()
    if arguments.results.exists():
        with arguments.results.open(newline="") as file:
            done = {(row["problem"], row["searcher"], row["form"], row["seed"]) for row in csv.DictReader(file)}
    else:
        arguments.results.write_text(",".join(COLUMNS) + "\n")
    for seed in range(arguments.seeds):
        for problem in arguments.problems:
            for searcher in arguments.searchers:
                for form in arguments.forms:
                    if (problem, searcher, form, str(seed)) in done:
                        continue
                    began = time.process_time()
                    trials = search(problem, searcher, FORMS[form], seed, max(CHECKPOINTS))
                    with arguments.results.open("a", newline="") as file:
                        for evaluations in CHECKPOINTS:
                            value, trained = regret(problem, seed, trials[:evaluations])
                            seconds = round(time.process_time() - began, 1)
                            line = (problem, searcher, form, seed, evaluations, round(value, 4), trained, seconds)
                            csv.writer(file, lineterminator="\n").writerow(line)
                    print(problem, searcher, form, seed, round(value, 3), f"{seconds} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
