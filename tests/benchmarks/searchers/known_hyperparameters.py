"""What a better fit could bring: `pr` with hyperparameters that are known beforehand, beside `pr` that fits its own.

    python tests/benchmarks/searchers/known_hyperparameters.py --seeds 8     what is missing, half an hour
    python tests/benchmarks/searchers/known_hyperparameters.py --table       the table

`known`: hyperparameters are fitted once, by the package's own fit, to 300 points whose values it sees without noise,
half of them random and half an evolution of these; the noise is the problem's own. No searcher can know that: it says
how much of the regret is due to what 30 or 60 trials tell of hyperparameters. Instances are those of seeds 100 and
up. A line of `known_hyperparameters.csv` has the regret of the best observed point, in the problem's own scale.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
import torch
from problems import PROBLEMS, Problem
from run import RANDOM_POINTS, Task, carry_out, curve
from sitting import sitting
from torch import Tensor

from searchplat.searchers.options import PROptions
from searchplat.searchers.pr import proposal
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models.surrogate import Model, fit
from searchplat.searchers.pr.proposal import family_of
from searchplat.searchers.pr.searcher import Codec

RESULTS = Path(__file__).with_suffix(".csv")
COLUMNS = ("problem", "searcher", "seed", "evaluations", "regret")
PROBLEMS_SHOWN = ("layers-36", "nk-36-3", "labs-30", "labs-30-noisy", "contamination-36-noisy")
COMPARED = ("fitted", "known")
LOOKS = (30, 60)
FIRST_SEED = 100
_POINTS = 300  # as many as the package fits exactly
_LEAST_NOISE = 1e-5  # of the values' variance


def known_fit(problem: Problem, seed: int) -> Callable[..., list[Model]]:
    """A stand-in for `surrogate.fit` whose hyperparameters do not depend on what was observed."""
    codec = Codec(problem.space, {})
    encoding = codec.encoding
    rng = np.random.default_rng([seed, 80])

    def values_of(codes_NA: Tensor) -> Tensor:
        return torch.tensor([problem.value(codec.decode(code_A)) for code_A in codes_NA], dtype=torch.float64)

    codes_NA = torch.from_numpy(rng.integers(0, 2, (_POINTS // 2, encoding.width))).double()
    value_N = values_of(codes_NA)
    while len(codes_NA) < _POINTS:
        children = codes_NA[value_N.topk(20).indices[rng.integers(0, 20, 30)]].clone()
        for child_A in children:
            flipped = rng.choice(encoding.width, rng.integers(1, 5), replace=False)
            child_A[flipped] = 1 - child_A[flipped]
        codes_NA, value_N = torch.cat([codes_NA, children]), torch.cat([value_N, values_of(children)])
    unit = float(value_N.std(correction=0))
    family = family_of(encoding, PROptions())
    known = fit(encoding, encoding.features(codes_NA), (value_N - value_N.mean()) / unit, family)

    def fitted(
        encoding: Encoding,
        features_ND: Tensor,
        target_N: Tensor,
        family: str,
        chosen: Any,
        steady_N: Tensor,
        sources: Any = (),
    ) -> list[Model]:
        # The target is in units of the observed values' deviation.
        own = max(float(steady_N.std(correction=0)), 1e-12)
        square = (unit / own) ** 2
        noise = max((problem.noise / own) ** 2, _LEAST_NOISE * square)
        models = []
        for model in known:
            variances = tuple(variance * square for variance in model.hyper.variances)
            hyper = replace(model.hyper, variances=variances, noise=torch.tensor(noise, dtype=torch.float64))
            covariance_NN = model.kernel(hyper, features_ND, features_ND)
            root_NN = torch.linalg.cholesky(covariance_NN + noise * torch.eye(len(target_N), dtype=torch.float64))
            alpha_N = torch.cholesky_solve(target_N[:, None], root_NN)[:, 0]
            known_here = {"features_ND": features_ND, "root_NN": root_NN, "alpha_N": alpha_N, "noise": noise}
            models.append(replace(model, hyper=hyper, **known_here))
        return models

    return fitted


def measure(problem_name: str, searcher: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """One search, and its lines."""
    torch.set_num_threads(1)
    task = Task(problem_name, "pr", FIRST_SEED + seed, max(LOOKS), searcher)
    if searcher == "known":
        with patch.object(proposal, "fit", known_fit(PROBLEMS[problem_name](task.seed), task.seed)):
            row = carry_out(task, folder)
    else:
        row = carry_out(task, folder)
    assert row is not None
    regrets = curve(row["observed"])
    return [
        {"problem": problem_name, "searcher": searcher, "seed": seed, "evaluations": number,
         "regret": f"{regrets[number - RANDOM_POINTS]:.3f}"}
        for number in LOOKS
    ]  # fmt: skip


def table(path: Path) -> str:
    """Mean regrets, and their difference with its standard error, seeds paired; in `all` every problem counts alike."""
    found: dict[tuple[str, int], dict[str, dict[str, float]]] = defaultdict(lambda: {name: {} for name in COMPARED})
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["problem"], int(row["evaluations"])][row["searcher"]][row["seed"]] = float(row["regret"])
    lines = ["| problem | evaluations | seeds | fitted | known | known less fitted |", "|---|---|---|---|---|---|"]
    for number in LOOKS:
        rows = []
        for (problem, evaluations), runs in found.items():
            shared = sorted(set(runs["fitted"]) & set(runs["known"]))
            if evaluations != number or len(shared) < 2:
                continue
            fitted, known = (np.array([runs[name][seed] for seed in shared]) for name in COMPARED)
            difference = known - fitted
            square = float(difference.var(ddof=1)) / len(shared)
            rows.append((len(shared), float(fitted.mean()), float(known.mean()), square))
            lines.append(_line(problem, number, *rows[-1]))
        if rows:
            fitted_mean, known_mean, square = np.array(rows)[:, 1:].mean(0)
            fewest = min(count for count, *_ in rows)
            lines.append(_line(f"mean of {len(rows)}", number, fewest, fitted_mean, known_mean, square / len(rows)))
    return "\n".join(lines)


def _line(name: str, number: int, count: int, fitted: float, known: float, square: float) -> str:
    return f"| {name} | {number} | {count} | {fitted:.3f} | {known:.3f} | {known - fitted:+.3f} ± {square**0.5:.3f} |"


if __name__ == "__main__":
    sys.exit(sitting(__doc__, RESULTS, COLUMNS, PROBLEMS_SHOWN, COMPARED, measure, table))
