"""How long a suggestion takes: median seconds, one thread, ours and Optuna's GP side by side on the same history.

    python tests/benchmarks/searchers/speed.py                  36 bits, 100 trials and 96 bits, 300 trials
    python tests/benchmarks/searchers/speed.py --growth         ours with up to 5,000 trials, and as an Optuna sampler
    python tests/benchmarks/searchers/speed.py --only pr        without the slow one
    python tests/benchmarks/searchers/speed.py --cpu            seconds of the processor, where other programs run too

The histories are of random points and noisy values of the layout problem; each repeat asks for another trial number,
and the two searchers take turns, so that a busy machine slows both alike. Of many trials a fit serves for several
suggestions: the first one, which reads the history and fits, is stated apart and is no part of the median.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
import optuna
import torch
from problems import ackley, layers

from searchplat.searchers import History, PastTrial, PRSampler, TrialState, make_searcher
from searchplat.searchers.optuna_space import OptunaSpace
from searchplat.spec.model import SearcherSpec

BOUNDS = {("layers-96", 300): 3.0, ("layers-36", 1000): 0.5, ("layers-36", 5000): 2.0}
"""Most median seconds that PR may take, as a searcher and as a sampler."""
RATIOS = {("layers-36", 100): 0.5}
"""Most median seconds that PR may take, over those of Optuna's GP."""
CASES = (("layers-36", 100), ("layers-96", 300), ("ackley-13", 100))
GROWTH = tuple(("layers-36", trials) for trials in (30, 100, 200, 300, 500, 1000, 5000))


def history(name: str, trials: int) -> tuple[Any, History]:
    """The problem, and random points of it with their noisy values."""
    problem = ackley(0.3) if name == "ackley-13" else layers(int(name.split("-")[1]))
    rng = np.random.default_rng(0)
    past: list[PastTrial] = []
    for number in range(trials):
        values = problem.space.sample(rng)
        past.append(PastTrial(number, values, TrialState.FINISHED, (problem.observe(values, rng),)))
    return problem, History(tuple(past), trials)


class Sampler:
    """PR as the sampler of an Optuna study that holds a history; what it suggested stays running."""

    def __init__(self, problem: Any, past: History) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        translation = OptunaSpace(problem.space, {})
        self._study = optuna.create_study(direction="maximize", sampler=PRSampler(seed=0))
        for trial in past.trials:
            params, self._distributions = translation.params(trial.values)
            value = (trial.objectives or (0.0,))[0]
            self._study.add_trial(
                optuna.trial.create_trial(params=params, distributions=self._distributions, value=value)
            )

    def suggest(self, past: History, number: int) -> None:
        """Ask the study."""
        self._study.ask(self._distributions)


def measure(
    name: str, trials: int, searchers: Sequence[str], repeats: int, clock: Callable[[], float]
) -> tuple[Mapping[str, float], Mapping[str, list[float]]]:
    """Seconds of the first suggestion, and of every further one."""
    problem, past = history(name, trials)
    built: dict[str, Any] = {
        s: Sampler(problem, past) if s == "sampler" else make_searcher(SearcherSpec(s, {}), problem.space, (True,), 0)
        for s in searchers
    }
    first: dict[str, float] = {}
    seconds: dict[str, list[float]] = {s: [] for s in searchers}
    few = History(past.trials[:12], 12)
    for searcher, it in built.items():
        if searcher != "sampler":
            it.suggest(few, 12)  # pays for imports
    for repeat in range(repeats + 1):
        for searcher, it in built.items():
            began = clock()
            it.suggest(past, trials + repeat)
            taken = clock() - began
            if repeat:
                seconds[searcher].append(taken)
            else:
                first[searcher] = taken
    return first, seconds


def main() -> int:
    """Print a line a case; fail if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--only", nargs="+", default=None, choices=["pr", "sampler", "gp", "tpe"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--trials", type=int, nargs="+", help="with --growth: only these numbers")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clock = time.process_time if arguments.cpu else time.perf_counter
    cases = GROWTH if arguments.growth else CASES
    if arguments.trials:
        cases = tuple((name, trials) for name, trials in cases if trials in arguments.trials)
    searchers = arguments.only or (["pr", "sampler"] if arguments.growth else ["pr", "gp"])
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    kept = True
    for name, trials in cases:
        first, seconds = measure(name, trials, searchers, arguments.repeats, clock)
        medians = {s: float(np.median(taken)) for s, taken in seconds.items()}
        words = [
            f"{s} {medians[s]:.3f} s ({min(t):.3f} to {max(t):.3f}; first {first[s]:.3f})" for s, t in seconds.items()
        ]
        bound = BOUNDS.get((name, trials))
        ours = [medians[s] for s in ("pr", "sampler") if s in medians]
        if bound is not None and ours:
            held = max(ours) <= bound
            kept = kept and held
            words.append(f"bound {bound} s {'holds' if held else 'does not hold'}")
        if {"pr", "gp"} <= set(medians):
            ratio, most = medians["pr"] / medians["gp"], RATIOS.get((name, trials))
            words.append(f"ratio {ratio:.2f}")
            if most is not None:
                kept = kept and ratio <= most
                words.append(f"bound {most} {'holds' if ratio <= most else 'does not hold'}")
        print(f"{name}, {trials} trials: " + ", ".join(words), flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
