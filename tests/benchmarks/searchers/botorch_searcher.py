"""BoTorch's own way through a mixed space, as a searcher: a default Gaussian process and alternating optimisation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood

from searchplat.searchers.contract import History, Suggestion
from searchplat.searchers.points import key, seed_of, tried, untried
from searchplat.searchers.pr.encoding import Kind
from searchplat.searchers.pr.searcher import Codec
from searchplat.spec.space import Space

_ITERATIONS = 100
_SAMPLES = 128


class BoTorchSearcher:
    """`SingleTaskGP` with its defaults, `qLogNoisyExpectedImprovement`, `optimize_acqf_mixed_alternating`.

    Two limits keep a suggestion near a second: 128 posterior samples (the default is 512) and 100 iterations of the fit
    (the default has no limit, and spends hundreds on the last digits of the likelihood).

    The acquisition cannot avoid tried points; where it ends at one, the next of its redraws, else a random point is
    taken, as for Optuna's samplers.

    Args:
        space: Bits and floats only.
        seed: With a trial's number it seeds that trial's draws.
        startup: Random points before the model is used.
    """

    def __init__(self, space: Space, seed: int, startup: int) -> None:
        self._space, self._seed, self._startup = space, seed, startup
        self._codec = Codec(space, {})
        kinds = {axis.kind for axis in self._codec.encoding.axes}
        assert kinds <= {Kind.BIT, Kind.REAL}, f"bits and floats only, got {kinds}"

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose a point; see `Searcher.suggest`."""
        known = tried(self._space, history)
        if len(history.trials) >= self._startup:
            for attempt in range(2):
                torch.manual_seed(seed_of(self._seed, "botorch", number, attempt))
                code = self._best(history)
                point = self._codec.decode(code)
                if key(self._space, point) not in known:
                    return Suggestion(point, {"route": "botorch"})
        point_ = untried(self._space, np.random.default_rng(seed_of(self._seed, "untried", number)), {}, known)
        return None if point_ is None else Suggestion(point_, {"route": "random"})

    def _best(self, history: History) -> torch.Tensor:
        X = self._codec.encode([trial.values for trial in history.trials])
        y = torch.tensor([trial.objectives for trial in history.trials], dtype=torch.float64)
        axes = self._codec.encoding.axes
        bits = {i: [0.0, 1.0] for i, axis in enumerate(axes) if axis.kind is Kind.BIT}
        bounds = torch.tensor([[0.0] * len(axes), [1.0] * len(axes)], dtype=torch.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on ill-conditioned fits, which are then repeated
            model = SingleTaskGP(X, (y - y.mean()) / y.std(), outcome_transform=None)
            limits = {"options": {"maxiter": _ITERATIONS}}
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs=limits)
            sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]))
            acquisition: Any = qLogNoisyExpectedImprovement(model, X_baseline=X, sampler=sampler, prune_baseline=True)
            candidates, _ = optimize_acqf_mixed_alternating(acquisition, bounds, discrete_dims=bits)
        best: torch.Tensor = candidates[0].detach()
        return best
