"""What the trials of a stage are worth without their noise: by a model of ours of its trials, whatever searched it.

A metric after one training holds the luck of its seed, and the best of many values is more often lucky than good. The
model is that of `pr`: exact Gaussian processes whose noise is learned. A point's estimate is the posterior mean of its
noise-free value, which its own trials, repeats and neighbours have a say in; `from: {by: model}` and `searchplat best
--model` choose by it. How much that saves is measured in `tests/benchmarks/searchers/final_choice.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from searchplat.searchers.contract import History
from searchplat.searchers.gain import known_of
from searchplat.searchers.options import PROptions
from searchplat.searchers.pr.models.surrogate import FitError, fit
from searchplat.searchers.pr.proposal import clipped, family_of, one_thread, standardised
from searchplat.searchers.pr.searcher import Codec
from searchplat.spec.space import Space


@dataclass(frozen=True)
class Estimate:
    """Of a trial's noise-free value, in the objective's units.

    Args:
        mean: Of the posterior.
        sd: Its standard deviation, >= 0.
    """

    mean: float
    sd: float


def estimates(space: Space, maximize: bool, history: History, given: Mapping[str, Any]) -> dict[int, Estimate] | None:
    """The estimates of trials with a value, by number; of very many, of the best and the newest alone.

    Trials that were stopped early enter with their best value, as they do for the searchers.

    Args:
        space: The stage's axes.
        maximize: Whether more of the only objective is better.
        history: The stage's trials.
        given: Values of parameters outside the space that conditions and constraints may look at.

    Returns:
        None where no model can be fitted, or there is nothing to tell trials by: fewer than two values, all of them
        equal, or no axis that varies.
    """
    codec = Codec(space, given)
    sign = 1.0 if maximize else -1.0
    known, values_N = known_of(codec, history, sign)
    if len(values_N) < 2 or not codec.encoding.width or not float(clipped(values_N).std(correction=0)):
        return None
    location, scale = float(clipped(values_N).mean()), float(clipped(values_N).std(correction=0))
    with one_thread(), torch.no_grad():
        features_ND = codec.encoding.features(known.scored_NA)
        family = family_of(codec.encoding, PROptions())
        try:
            models = fit(codec.encoding, features_ND, standardised(values_N), family)
        except FitError:
            return None
        mean_N, square_N = torch.zeros_like(values_N), torch.zeros_like(values_N)
        for model in models:
            own_N, variance_N = model.posterior(features_ND)
            mean_N += model.weight * own_N
            square_N += model.weight * (variance_N + own_N**2)
    variance_N = (square_N - mean_N**2).clamp(min=0.0)
    assert known.known_at_N is not None
    return {
        int(number): Estimate(sign * (location + scale * float(mean)), scale * math.sqrt(float(variance)))
        for number, mean, variance in zip(known.known_at_N, mean_N, variance_N, strict=True)
    }
