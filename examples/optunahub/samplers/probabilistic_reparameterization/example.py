"""A layout of twelve bits and two numbers, of which one counts where a bit is set: noisy, and 40 trials in all."""

from __future__ import annotations

import random
from pathlib import Path

import optuna
import optunahub

WEIGHTS = [0.7, -0.4, 0.1, 0.9, -0.8, 0.0, 0.3, -0.2, 0.5, -0.6, 0.2, -0.1]


def objective(trial: optuna.Trial) -> float:
    """Bits have effects of their own, two of them one together; where the first is set, so has a number."""
    bits = [trial.suggest_categorical(f"bit{i}", [False, True]) for i in range(len(WEIGHTS))]
    value = sum(weight for weight, bit in zip(WEIGHTS, bits, strict=True) if bit)
    value += 0.8 * (bits[1] and bits[2]) - 0.3 * trial.suggest_float("dropout", 0.0, 1.0)
    if bits[0]:
        value -= (trial.suggest_float("rate", 0.0, 1.0) - 0.7) ** 2
    return value + random.gauss(0.0, 0.1)


def main() -> None:
    """Print the best of 40 trials."""
    # From this folder; once published: optunahub.load_module("samplers/probabilistic_reparameterization")
    module = optunahub.load_local_module(
        "samplers/probabilistic_reparameterization", registry_root=str(Path(__file__).parents[2])
    )
    random.seed(0)
    study = optuna.create_study(direction="maximize", sampler=module.PRSampler(seed=0))
    study.optimize(objective, n_trials=40)
    print(study.best_value, study.best_params)


if __name__ == "__main__":
    main()
