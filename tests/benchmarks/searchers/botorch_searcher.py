"""BoTorch's own way through a mixed space, as a searcher: a default Gaussian process and alternating optimisation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, SingleTaskGP
from botorch.models.transforms import Normalize
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

    Where there are choices of more than two, `MixedSingleTaskGP`.
    Two limits keep a suggestion near a second: 128 posterior samples (the default is 512) and 100 iterations of the fit
    (the default has no limit, and spends hundreds on the last digits of the likelihood).

    The acquisition cannot avoid tried points; where it ends at one, the next of its redraws, else a random point is
    taken, as for Optuna's samplers.

    Args:
        space: Without conditions or constraints.
        seed: With a trial's number it seeds that trial's draws.
        startup: Random points before the model is used.
    """

    def __init__(self, space: Space, seed: int, startup: int) -> None:
        self._space, self._seed, self._startup = space, seed, startup
        self._codec = Codec(space, {})
        axes = self._codec.encoding.axes
        assert not any(axis.when for axis in axes), "no conditions"
        levels = {
            i: [float(k) for k in range(axis.levels)] for i, axis in enumerate(axes) if axis.kind is not Kind.REAL
        }
        # A choice of two has one distance, so it is an ordered axis as well as any.
        self._choices = {i: of for i, of in levels.items() if axes[i].kind is Kind.CATEGORICAL}
        self._ordered = {i: of for i, of in levels.items() if axes[i].kind is not Kind.CATEGORICAL}
        most = [levels[i][-1] if i in levels else 1.0 for i in range(len(axes))]
        self._bounds = torch.tensor([[0.0] * len(axes), most], dtype=torch.float64)

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on ill-conditioned fits, which are then repeated
            unit = (y - y.mean()) / y.std()
            numbers = [i for i in range(len(self._bounds[0])) if i not in self._choices]
            scaled = Normalize(len(self._bounds[0]), numbers, bounds=self._bounds) if numbers else None
            model: Any
            if self._choices:
                model = MixedSingleTaskGP(X, unit, [*self._choices], outcome_transform=None, input_transform=scaled)
            else:
                model = SingleTaskGP(X, unit, outcome_transform=None, input_transform=scaled)
            limits = {"options": {"maxiter": _ITERATIONS}}
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs=limits)
            sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]))
            acquisition: Any = qLogNoisyExpectedImprovement(model, X_baseline=X, sampler=sampler, prune_baseline=True)
            candidates, _ = optimize_acqf_mixed_alternating(
                acquisition, self._bounds, discrete_dims=self._ordered, cat_dims=self._choices
            )
        best: torch.Tensor = candidates[0].detach()
        return best
