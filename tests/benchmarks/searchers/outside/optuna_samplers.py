"""Optuna's own samplers by ask and tell, as their users have them: its Gaussian process, and OptunaHub's AutoSampler.

The kernel of Optuna's Gaussian process measures categorical bits by Hamming distance and whole numbers by Euclidean
distance, and it optimises the acquisition for each in another way. AutoSampler takes it for whole numbers alone.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, Literal

from outside.protocol import Opening, Point, bits_and_numbers

Bits = Literal["int", "categorical"]


class _Study:
    """A study in memory whose one sampler is asked and told.

    Nothing keeps it from a point that it had: that is Optuna's own way.
    """

    def __init__(self, opening: Opening, sampler: Any, bits: Bits) -> None:
        import optuna
        import torch
        from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

        torch.set_num_threads(1)
        logging.getLogger("optuna").setLevel(logging.ERROR)
        self._optuna, self._opening = optuna, opening
        bit = IntDistribution(0, 1) if bits == "int" else CategoricalDistribution((0, 1))
        self._distributions: dict[str, BaseDistribution] = {
            axis.name: bit if axis.bit else FloatDistribution(axis.low, axis.high) for axis in opening.axes
        }
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[int, Any] = {}

    def ask(self, number: int) -> Point:
        """See `AskTell`."""
        trial = self._study.ask(self._distributions)
        self._asked = {number: trial}
        return bits_and_numbers(self._opening.axes, [trial.params[axis.name] for axis in self._opening.axes])

    def tell(self, number: int, point: Point, value: float) -> None:
        """See `AskTell`."""
        if number in self._asked:
            self._study.tell(self._asked[number], value)
            return
        params = {axis.name: v for axis, v in zip(self._opening.axes, point, strict=True)}
        trial = self._optuna.trial.create_trial(params=params, distributions=self._distributions, value=value)
        self._study.add_trial(trial)


class OptunaGP(_Study):
    """Optuna's `GPSampler` with its defaults.

    Args:
        opening: The search.
        bits: What bits are to it.
    """

    def __init__(self, opening: Opening, bits: Bits) -> None:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.GPSampler(seed=opening.seed, n_startup_trials=opening.first)
        super().__init__(opening, sampler, bits)


class AutoSampler(_Study):
    """OptunaHub's `samplers/auto_sampler`, from a checkout of its registry on the path.

    Args:
        opening: The search.
        bits: What bits are to it: a Gaussian process for whole numbers, else a Parzen estimator.

    Raises:
        ImportError: If `optunahub` or the checkout is absent.
    """

    def __init__(self, opening: Opening, bits: Bits) -> None:
        import sys

        import optunahub

        roots = [Path(folder) / "package" for folder in sys.path]
        root = next((root for root in roots if (root / "samplers" / "auto_sampler").is_dir()), None)
        if root is None:
            raise ImportError("no folder of the path has package/samplers/auto_sampler")
        module = optunahub.load_local_module("samplers/auto_sampler", registry_root=str(root))
        super().__init__(opening, module.AutoSampler(seed=opening.seed), bits)
