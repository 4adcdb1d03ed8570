"""Compare searchers on problems with a known best: the same first random points, the same budget, at least ten seeds.

    python tests/benchmarks/searchers/run.py --workers 2                     everything that is missing, hours
    python tests/benchmarks/searchers/run.py --problems nk-36-3 --searchers pr tpe --seeds 2 --evaluations 30
    python tests/benchmarks/searchers/run.py --searchers bounce smac-rf      of other projects: see outside/README.md
    python tests/benchmarks/searchers/report.py                              the table and the picture

Every (problem, searcher, seed) is a run of its own. A finished run is a line of `results.csv` and is not repeated
unless more evaluations are asked for; an unfinished one is continued from its working file, as a searcher is a function
of its history. So it may be stopped at any time. One process a worker, one thread each. Seconds are those of the
processor. Runs of searchers of other projects are lines of `outside/results.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
from outside.catalogue import OUTSIDE
from outside.protocol import AbsentError
from outside.searcher import OutsideSearcher
from problems import PROBLEMS, Problem, available

from searchplat.searchers import History, PastTrial, Searcher, TrialState, make_searcher
from searchplat.searchers.points import seed_of
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Space

RESULTS = Path(__file__).with_name("results.csv")
OUTSIDE_RESULTS = Path(__file__).with_name("outside") / "results.csv"
RANDOM_POINTS = 10
"""Points that all searchers of a seed have in common."""
CHECKPOINTS = (30, 60, 100)
SEARCHERS: dict[str, dict[str, Any]] = {
    "random": {},
    "tpe": {"startup": RANDOM_POINTS},
    "gp": {"startup": RANDOM_POINTS},
    "botorch": {},
    "pr": {"startup": RANDOM_POINTS},
}
"""The searchers with the options that differ from their defaults."""
COLUMNS = (
    "problem", "searcher", "seed", "evaluations", "best", "mean", "seconds", "median_suggest_seconds", "variant",
    "observed", "visited",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One run. `variant` names what was changed, for experiments; empty for the searcher as it is."""

    problem: str
    searcher: str
    seed: int
    evaluations: int
    variant: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Unique among runs, without the number of evaluations."""
        return "-".join(filter(None, (self.problem, self.searcher, str(self.seed), self.variant)))

    @property
    def file(self) -> str:
        """Its working file, which runs of other numbers of evaluations continue where points do not depend on these."""
        by_budget = self.searcher in OUTSIDE and OUTSIDE[self.searcher].by_budget
        return f"{self.name}-of-{self.evaluations}.jsonl" if by_budget else f"{self.name}.jsonl"


def build(task: Task, space: Space) -> Searcher:
    """The searcher of a run."""
    if task.searcher == "botorch":
        from botorch_searcher import BoTorchSearcher

        return BoTorchSearcher(space, task.seed, RANDOM_POINTS)
    if task.searcher in OUTSIDE:
        return OutsideSearcher(task.searcher, space, task.seed, RANDOM_POINTS, task.evaluations)
    options = {**SEARCHERS[task.searcher], **dict(task.options)}
    return make_searcher(SearcherSpec(task.searcher, options), space, (True,), task.seed)


def random_points(problem: Problem, seed: int) -> list[dict[str, Any]]:
    """The first points of every searcher that has none of its own."""
    rng = np.random.default_rng([seed, 7])
    return [problem.space.sample(rng) for _ in range(RANDOM_POINTS)]


def carry_out(task: Task, folder: Path, until: float = float("inf")) -> dict[str, Any] | None:
    """Run or continue a task; its line of the results, or None if the time is up before its end.

    The noise of an evaluation depends on seed and number alone, so all see equal points alike.
    """
    import torch

    torch.set_num_threads(1)
    problem = PROBLEMS[task.problem](task.seed)
    searcher = build(task, problem.space)
    own_first = task.searcher in OUTSIDE and OUTSIDE[task.searcher].own_first
    first = [] if own_first else random_points(problem, task.seed)
    path = folder / task.file
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    lines = lines[: task.evaluations]
    past = [_trial(number, line) for number, line in enumerate(lines)]
    ending = closing(searcher) if isinstance(searcher, OutsideSearcher) else nullcontext()
    with path.open("a") as file, ending:
        for number in range(len(past), task.evaluations):
            if time.time() > until:
                return None
            began = time.process_time()
            seconds = None
            values: Mapping[str, Any] | None = first[number] if number < len(first) else None
            if values is None:
                suggestion = searcher.suggest(History(tuple(past), number), number)
                if suggestion is None:  # every point was tried
                    break
                values = suggestion.values
                seconds = suggestion.info.get("cpu_seconds")
            if seconds is None:
                seconds = time.process_time() - began
            seen = problem.observe(values, np.random.default_rng([seed_of(task.seed, "noise", number) % 2**32]))
            line = {"values": values, "seen": seen, "seconds": round(seconds, 4)}
            file.write(json.dumps(line) + "\n")
            file.flush()
            lines.append(line)
            past.append(_trial(number, line))
    return _row(task, problem, lines)


def _trial(number: int, line: Mapping[str, Any]) -> PastTrial:
    return PastTrial(number, line["values"], TrialState.FINISHED, (line["seen"],))


def _row(task: Task, problem: Problem, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """`observed` is the regret of the point with the best observed value so far, `visited` the least regret so far.

    Both are judged by the noise-free value. A user gets the first; the second would take a second look without noise.
    """
    regret_N = np.array([problem.regret(problem.value(line["values"])) for line in lines])
    seen_N = np.array([line["seen"] for line in lines])
    leader_N = np.array([int(seen_N[: i + 1].argmax()) for i in range(len(seen_N))])
    asked = [line["seconds"] for line in lines[RANDOM_POINTS:]]
    return {
        "problem": task.problem, "searcher": task.searcher, "seed": task.seed, "evaluations": task.evaluations,
        "best": round(problem.best, 6), "mean": round(problem.mean, 6), "seconds": round(sum(asked), 2),
        "median_suggest_seconds": round(float(np.median(asked)), 4) if asked else 0.0, "variant": task.variant,
        "observed": _text(regret_N[leader_N]), "visited": _text(np.minimum.accumulate(regret_N)),
    }  # fmt: skip


def _text(values: Any) -> str:
    """Values from the last random point on, three decimals, runs of equal ones shortened to value*count."""
    words: list[list[Any]] = []
    for value in values[RANDOM_POINTS - 1 :]:
        word = f"{value:.3f}"
        if words and words[-1][0] == word:
            words[-1][1] += 1
        else:
            words.append([word, 1])
    return " ".join(word if count == 1 else f"{word}*{count}" for word, count in words)


def curve(text: str) -> np.ndarray[Any, Any]:
    """Inverse of what `results.csv` holds: regret after RANDOM_POINTS, RANDOM_POINTS + 1, ... evaluations."""
    values: list[float] = []
    for word in text.split():
        value, _, count = word.partition("*")
        values += [float(value)] * int(count or 1)
    return np.array(values)


def finished(results: Path) -> dict[tuple[str, str, int, str], dict[str, str]]:
    """Lines of the results by problem, searcher, seed and variant; of several the one with most evaluations."""
    found: dict[tuple[str, str, int, str], dict[str, str]] = {}
    if results.exists():
        with results.open(newline="") as file:
            for row in csv.DictReader(file):
                identity = (row["problem"], row["searcher"], int(row["seed"]), row["variant"])
                if identity not in found or int(found[identity]["evaluations"]) <= int(row["evaluations"]):
                    found[identity] = row
    return found


def _work(job: tuple[Task, Path, float]) -> tuple[Task, dict[str, Any] | str | None]:
    """A task and its line; None if the time is up, or why its searcher cannot run here."""
    task, folder, until = job
    try:
        return task, carry_out(task, folder, until)
    except AbsentError as error:
        return task, str(error)


def main() -> int:
    """Carry out what is missing; each finished run is appended at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=available())
    parser.add_argument("--searchers", nargs="+", choices=[*SEARCHERS, *OUTSIDE], default=list(SEARCHERS))
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0, help="tuning uses 100 and up, so that 0 to 99 stay unseen")
    parser.add_argument("--evaluations", type=int, default=max(CHECKPOINTS))
    parser.add_argument("--workers", type=int, default=1, help="processes, one a core")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop after so many; unfinished runs remain"
    )
    parser.add_argument("--results", type=Path, help="of all searchers; by default those of others have their own")
    parser.add_argument(
        "--working", type=Path, default=Path(tempfile.gettempdir()) / "searcher-runs", help="folder of unfinished runs"
    )
    parser.add_argument("--variant", default="", help="a name for what was changed, in experiments")
    parser.add_argument("--option", nargs="*", default=[], metavar="NAME=JSON", help="options over the searcher's")
    arguments = parser.parse_args()

    arguments.working.mkdir(parents=True, exist_ok=True)
    options = tuple((n, json.loads(v)) for n, _, v in (text.partition("=") for text in arguments.option))
    places = {
        searcher: arguments.results or (OUTSIDE_RESULTS if searcher in OUTSIDE else RESULTS)
        for searcher in arguments.searchers
    }
    done = {key: row for path in set(places.values()) for key, row in finished(path).items()}
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    # Seeds outside: when stopped early, all searchers have about equally many.
    tasks = [
        Task(problem, searcher, seed, arguments.evaluations, arguments.variant, options)
        for seed in seeds
        for problem in arguments.problems
        for searcher in arguments.searchers
    ]
    missing = [
        task
        for task in tasks
        if int(done.get((task.problem, task.searcher, task.seed, task.variant), {}).get("evaluations", 0))
        < task.evaluations
    ]
    print(f"{len(tasks)} runs, {len(missing)} to do", flush=True)
    until = time.time() + arguments.seconds
    jobs = [(task, arguments.working, until) for task in missing]
    unfinished, skipped = 0, set[str]()
    with multiprocessing.get_context("spawn").Pool(arguments.workers, maxtasksperchild=20) as pool:
        for task, row in pool.imap_unordered(_work, jobs):
            if row is None:
                unfinished += 1
                continue
            if isinstance(row, str):
                if task.searcher not in skipped:
                    print(f"{task.searcher} is skipped: {row}", flush=True)
                skipped.add(task.searcher)
                continue
            with places[task.searcher].open("a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)
            last = float(curve(row["observed"])[-1])
            print(f"{task.name}: regret {last:.3f}, {row['median_suggest_seconds']} s a suggestion", flush=True)
    if unfinished:
        print(f"{unfinished} runs remain; the same command continues them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
