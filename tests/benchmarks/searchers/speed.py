"""How long a suggestion takes: median seconds, one thread, ours and Optuna's GP side by side on the same history.

    python tests/benchmarks/searchers/speed.py                  36 bits, 100 trials and 96 bits, 300 trials
    python tests/benchmarks/searchers/speed.py --growth         ours with up to 5,000 trials
    python tests/benchmarks/searchers/speed.py --only pr        without the slow one

The histories are of random points and noisy values of the layout problem; each repeat asks for another trial number,
and the two searchers take turns, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
import torch
from problems import ackley, layers

from searchplat.searchers import History, PastTrial, TrialState, make_searcher
from searchplat.spec.model import SearcherSpec

BOUNDS = {("layers-96", 300): 3.0}
"""Most median seconds that PR may take."""
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


def measure(name: str, trials: int, searchers: Sequence[str], repeats: int) -> Mapping[str, list[float]]:
    """Seconds of every suggestion."""
    problem, past = history(name, trials)
    built = {s: make_searcher(SearcherSpec(s, {}), problem.space, (True,), 0) for s in searchers}
    seconds: dict[str, list[float]] = {s: [] for s in searchers}
    for repeat in range(repeats + 1):
        for searcher, it in built.items():
            began = time.perf_counter()
            it.suggest(past, trials + repeat)
            if repeat:  # the first pays for imports and for reading the history
                seconds[searcher].append(time.perf_counter() - began)
    return seconds


def main() -> int:
    """Print a line a case; fail if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--only", nargs="+", default=None, choices=["pr", "gp", "tpe"])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = GROWTH if arguments.growth else CASES
    searchers = arguments.only or (["pr"] if arguments.growth else ["pr", "gp"])
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    kept = True
    for name, trials in cases:
        seconds = measure(name, trials, searchers, arguments.repeats)
        medians = {s: float(np.median(taken)) for s, taken in seconds.items()}
        words = [f"{s} {medians[s]:.3f} s ({min(t):.3f} to {max(t):.3f})" for s, t in seconds.items()]
        bound = BOUNDS.get((name, trials))
        if bound is not None and "pr" in medians and not arguments.growth:
            held = medians["pr"] <= bound
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
