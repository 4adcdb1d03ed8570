"""What is believed of the objective: exact Gaussian processes over the kernels of `kernel`.

A kernel's hyperparameters maximise the marginal likelihood times the priors: among them the variances of its parts,
so the data choose between main effects, pairs and a general kernel. It is fitted twice, with nearly equal relevances of
the axes and with free ones: where points are few free relevances fit the noise, where they are many they find the axes
that matter. The posteriors are averaged by evidence. Noise is learned; repeats of a point are separate rows and so
enter with their variance.
Shapes: `N` observed points, `M` asked points, `D` feature columns. Next: `acquisition`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.kernel import EVEN, FAMILIES, FREE, Covariance, Differentiated, Hyper, Kernel

_MOST_FITTED = 300  # points that hyperparameters are fitted to; the posterior uses all
_ITERATIONS = 60
_LEAST_SHARE = 0.05  # models below it are not worth their time
_TEMPER = 0.5  # power of the evidence in the weights: its value at the best fit overstates what the freer fit gained


class FitError(Exception):
    """No finite fit could be found."""


@dataclass(frozen=True)
class Model:
    """A fitted Gaussian process on the standardised objective.

    Args:
        family: Its name in `FAMILIES`.
        evidence: Log marginal likelihood plus log prior at the fit, comparable between families.
        weight: Share in the average of all models.
    """

    family: str
    kernel: Kernel
    hyper: Hyper
    features_ND: Tensor
    root_NN: Tensor
    alpha_N: Tensor
    noise: float
    evidence: float
    weight: float = 1.0

    @cached_property
    def covariance(self) -> Covariance:
        """Covariances with the observed points."""
        return self.kernel.against(self.hyper, self.features_ND)

    def mean(self, features_MD: Tensor) -> Tensor:
        """Posterior mean of the noise-free objective `[M]`."""
        return self.covariance(features_MD) @ self.alpha_N

    def half(self, features_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-covariances `[M, N]`, and `L^-1` of them `[N, M]`: what means and covariances are made of."""
        cross_MN = self.covariance(features_MD)
        return cross_MN, torch.linalg.solve_triangular(self.root_NN, cross_MN.T, upper=False)

    def posterior(self, features_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of the noise-free objective, each `[M]`."""
        cross_MN, half_NM = self.half(features_MD)
        variance_M = self.kernel.diagonal(self.hyper, features_MD) - (half_NM**2).sum(0)
        return cross_MN @ self.alpha_N, variance_M.clamp(min=1e-10)

    def believing(self, pending_QD: Tensor) -> Model:
        """The model after observing its own posterior mean at the pending points: equal means, smaller variances."""
        if not len(pending_QD):
            return self
        features = torch.cat([self.features_ND, pending_QD])
        noise = torch.tensor(max(self.noise, 1e-6), dtype=torch.float64)
        root, _, _ = _solve(self.kernel(self.hyper, features, features), noise, torch.zeros(len(features)).double())
        if root is None:
            return self
        # The new residuals are zero, so the new points add nothing to any mean.
        alpha = torch.cat([self.alpha_N, torch.zeros(len(pending_QD), dtype=torch.float64)])
        return replace(self, features_ND=features, root_NN=root, alpha_N=alpha)

    def joint(self, features_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean `[M]` and covariance `[M, M]`."""
        cross_MN, half_NM = self.half(features_MD)
        covariance = self.kernel(self.hyper, features_MD, features_MD) - half_NM.T @ half_NM
        return cross_MN @ self.alpha_N, covariance


def fit(encoding: Encoding, features_ND: Tensor, target_N: Tensor, families: Sequence[str]) -> list[Model]:
    """Fit the families with both freedoms of the relevances, and weigh them; see `weighed`.

    Args:
        features_ND: Features of the observed points.
        target_N: Standardised objective, larger is better.

    Raises:
        FitError: If no family has a finite fit.
    """
    models = []
    for family in families:
        for relevance_sd in (EVEN, FREE):
            model = _fitted(family, Kernel(encoding, FAMILIES[family], relevance_sd), features_ND, target_N)
            if model is not None:
                models.append(model)
    if not models:
        raise FitError("no kernel family had a finite marginal likelihood")
    return weighed(models)


def weighed(models: Sequence[Model]) -> list[Model]:
    """The models with their shares, proportional to the root of the evidence, best first; small shares are dropped."""
    best = max(m.evidence for m in models)
    shares = [math.exp(_TEMPER * (m.evidence - best)) for m in models]
    kept = [(s, m) for s, m in zip(shares, models, strict=True) if s >= _LEAST_SHARE * sum(shares)]
    total = sum(s for s, _ in kept)
    ordered = sorted(kept, key=lambda pair: -pair[0])
    return [replace(m, weight=s / total) for s, m in ordered]


def _fitted(family: str, kernel: Kernel, features_ND: Tensor, target_N: Tensor) -> Model | None:
    count = len(target_N)
    # The best and the newest points say most about where to look next.
    chosen = torch.arange(count)
    if count > _MOST_FITTED:
        half = _MOST_FITTED // 2
        best = target_N.argsort(descending=True)[:half]
        newest = torch.arange(count - half, count)
        chosen = torch.unique(torch.cat([best, newest]))
    x, y = features_ND[chosen], target_N[chosen]

    differentiated = Differentiated(kernel, x)
    start, sd = kernel.start(), kernel.prior_sd()

    def negative_evidence(raw_: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        raw = torch.from_numpy(raw_)
        hyper = kernel.unpack(raw)
        covariance, parts = differentiated.covariance(hyper)
        root, alpha, value = _solve(covariance, hyper.noise, y)
        if root is None:
            return 1e10, np.zeros_like(raw_)
        # d log p(y) / dK = (alpha alpha^T - K^-1) / 2
        by_covariance = 0.5 * (torch.outer(alpha, alpha) - torch.cholesky_inverse(root))
        away = (raw - start) / sd
        gradient = differentiated.gradient(hyper, parts, by_covariance) - away / sd
        return 0.5 * float(away @ away) - float(value), (-gradient).numpy()

    result = minimize(
        negative_evidence,
        start.numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=kernel.bounds(),
        options={"maxiter": _ITERATIONS},
    )
    if not math.isfinite(result.fun) or result.fun >= 1e10:
        return None
    raw = torch.tensor(result.x, dtype=torch.float64)
    hyper = kernel.unpack(raw)
    root, alpha, _ = _solve(kernel(hyper, features_ND, features_ND), hyper.noise, target_N)
    if root is None:
        return None
    return Model(family, kernel, hyper, features_ND, root, alpha, float(hyper.noise), -float(result.fun))


def _solve(covariance_NN: Tensor, noise: Tensor, target_N: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    """Cholesky factor, `K^-1 y` and log marginal likelihood; None for the factor if K is not positive."""
    n = len(target_N)
    noisy = covariance_NN + (noise + 1e-8) * torch.eye(n, dtype=covariance_NN.dtype)
    root, failed = torch.linalg.cholesky_ex(noisy)
    if int(failed) or not bool(torch.isfinite(root).all()):
        return None, target_N, torch.tensor(-math.inf)
    alpha = torch.cholesky_solve(target_N[:, None], root)[:, 0]
    value = -0.5 * (target_N @ alpha) - root.diagonal().log().sum() - 0.5 * n * math.log(2 * math.pi)
    return root, alpha, value


def unfitted(encoding: Encoding, features_ND: Tensor, target_N: Tensor) -> Model:
    """The general family with the priors' medians: what is left when no fit is finite."""
    kernel = Kernel(encoding, FAMILIES["general"])
    hyper = kernel.unpack(kernel.start())
    noise = hyper.noise
    for _ in range(8):
        root, alpha, value = _solve(kernel(hyper, features_ND, features_ND), noise, target_N)
        if root is not None:
            return Model("general", kernel, hyper, features_ND, root, alpha, float(noise), float(value))
        noise = noise * 10
    raise FitError("the covariance of the observed points has no Cholesky factor even with large noise")
