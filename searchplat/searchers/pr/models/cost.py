"""What a trial takes: a Gaussian process on the logarithm of its seconds, so that gains can be counted per second."""

from __future__ import annotations

import torch
from torch import Tensor

from searchplat.searchers.pr.acquisition import LogAcquisition
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models.subset import subset
from searchplat.searchers.pr.models.surrogate import Model, fit

_LEAST = 4  # trials with known seconds before their differences are believed


class PerSecond:
    """Log of one over the expected seconds of a trial, up to a constant: `-(mean of log seconds)`.

    As a factor of expected improvement it makes improvement per second (Snoek et al. 2012, section 3.2), with the
    median of the seconds instead of their mean: the uncertainty of the seconds must not draw the search.

    Args:
        model: Fitted to standardised log seconds.
        deviation: Standard deviation of the log seconds.
    """

    def __init__(self, model: Model, deviation: float) -> None:
        self._model, self._deviation = model, deviation

    def __call__(self, features_MD: Tensor) -> Tensor:
        return -self._deviation * self._model.mean(features_MD)


def per_second(
    encoding: Encoding, features_ND: Tensor, seconds_N: Tensor, known_at_N: Tensor | None = None
) -> LogAcquisition | None:
    """The factor for trials' seconds; None while too few are known or they are all alike.

    Args:
        features_ND: Features of trials with a value.
        seconds_N: Seconds that they took; NaN where that is not known, as of a trial that was stopped early.
        known_at_N: See `subset.subset`.

    Raises:
        FitError: If no fit is finite.
    """
    known_N = torch.isfinite(seconds_N) & (seconds_N > 0)
    if int(known_N.sum()) < _LEAST:
        return None
    logs = seconds_N[known_N].log()
    deviation = float(logs.std(correction=0))
    if deviation < 1e-3:
        return None
    target_N = (logs - logs.mean()) / deviation
    # Of many, first of all the cheap ones, which is where the factor draws the search.
    chosen = subset(-logs[:, None], None if known_at_N is None else known_at_N[known_N])
    models = fit(encoding, features_ND[known_N], target_N, "general", chosen, logs)
    return PerSecond(models[0], deviation)
