"""What is believed of the objective: exact Gaussian processes over the kernels of `kernel`.

A kernel's hyperparameters maximise the marginal likelihood times the priors: among them the variances of its parts,
so the data choose between main effects, pairs and a general kernel. It is fitted twice, with nearly equal relevances of
the axes and with free ones: where points are few free relevances fit the noise, where they are many they find the axes
that matter. The posteriors are averaged by evidence. Noise is learned; repeats of a point are separate rows and so
enter with their variance. The prior mean is 0, or what trials of other searches say, by learned weights: `prior_mean`.

Up to 300 points all of this is exact. Beyond, hyperparameters are those of a fit to 300 of them, made anew for every
50th point; beyond 500, the posterior knows 500 of them: `subset` says which.
Shapes: `N` observed points, `M` asked points, `D` feature columns, `S` sources. Next: `acquisition`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models.kernel import EVEN, FAMILIES, FREE, Covariance, Differentiated, Hyper, Kernel
from searchplat.searchers.pr.models.prior_mean import MOST_WEIGHT, WEIGHT, PriorMean, stacked
from searchplat.searchers.pr.models.subset import Subset, subset

_KEPT_FITS = 16  # fits of one process that are remembered: of each objective, failures and seconds, two or more
_ITERATIONS = 60
_LEAST_TRUST = 1e-3  # weights below it only cost time
_LEAST_SHARE = 0.05  # models below it are not worth their time
_TEMPER = 0.5  # power of the evidence in the weights: its value at the best fit overstates what the freer fit gained


class FitError(Exception):
    """No finite fit could be found."""


@dataclass(frozen=True)
class Model:
    """A fitted Gaussian process on the standardised objective.

    Args:
        evidence: Log marginal likelihood plus log prior at the fit.
        weight: Share in the average of the two.
        sources: Prior means, of which those with a weight are kept.
        trust_S: Their weights.
    """

    kernel: Kernel
    hyper: Hyper
    features_ND: Tensor
    root_NN: Tensor
    alpha_N: Tensor
    noise: float
    evidence: float
    weight: float = 1.0
    sources: tuple[PriorMean, ...] = ()
    trust_S: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    @cached_property
    def covariance(self) -> Covariance:
        """Covariances with the observed points."""
        return self.kernel.against(self.hyper, self.features_ND)

    def prior(self, features_MD: Tensor) -> Tensor:
        """The prior mean `[M]`."""
        return stacked(self.sources, features_MD) @ self.trust_S

    def mean(self, features_MD: Tensor) -> Tensor:
        """Posterior mean of the noise-free objective `[M]`."""
        return self.prior(features_MD) + self.covariance(features_MD) @ self.alpha_N

    def half(self, features_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-covariances `[M, N]`, and `L^-1` of them `[N, M]`: what means and covariances are made of."""
        cross_MN = self.covariance(features_MD)
        return cross_MN, torch.linalg.solve_triangular(self.root_NN, cross_MN.T, upper=False)

    def posterior(self, features_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of the noise-free objective, each `[M]`."""
        cross_MN, half_NM = self.half(features_MD)
        variance_M = self.kernel.diagonal(self.hyper, features_MD) - (half_NM**2).sum(0)
        return self.prior(features_MD) + cross_MN @ self.alpha_N, variance_M.clamp(min=1e-10)

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
        return self.prior(features_MD) + cross_MN @ self.alpha_N, covariance


def fit(
    encoding: Encoding,
    features_ND: Tensor,
    target_N: Tensor,
    family: str,
    chosen: Subset | None = None,
    steady_N: Tensor | None = None,
    sources: Sequence[PriorMean] = (),
) -> list[Model]:
    """Fit a kernel family with both freedoms of the relevances, and weigh the two; see `weighed`.

    Args:
        features_ND: Features of the observed points.
        target_N: Standardised objective, larger is better.
        family: A name in `FAMILIES`.
        chosen: Which of many points are looked at; by default the best by `target_N`, the last rows and a spread.
        steady_N: The target in a unit that points to come leave as it is, so that one fit serves for several
            suggestions; by default `target_N`.
        sources: What other searches say of points.

    Raises:
        FitError: If neither has a finite fit.
    """
    chosen = subset(target_N[:, None]) if chosen is None else chosen
    known_KD, target_K = features_ND[chosen.known], target_N[chosen.known]
    models = []
    prior_NS = stacked(sources, features_ND)
    for relevance_sd in (EVEN, FREE):
        kernel = Kernel(encoding, FAMILIES[family], relevance_sd)
        if chosen.whole:
            fitted = _fitted(kernel, features_ND, target_N, prior_NS)
        else:
            steady = target_N if steady_N is None else steady_N
            fitted = _remembered(kernel, features_ND[chosen.fitted], steady[chosen.fitted], prior_NS[chosen.fitted])
            fitted = None if fitted is None else _in_unit_of(target_N[chosen.fitted], fitted)
        if fitted is None:
            continue
        residual_K = target_K - prior_NS[chosen.known] @ fitted[2]
        model = _posterior(kernel, *fitted[:2], known_KD, residual_K)
        if model is not None:
            trusted = fitted[2] > _LEAST_TRUST
            used = tuple(source for source, kept in zip(sources, trusted, strict=True) if kept)
            models.append(replace(model, sources=used, trust_S=fitted[2][trusted]))
    if not models:
        raise FitError(f"the kernel family {family} has no finite marginal likelihood")
    return weighed(models)


def weighed(models: Sequence[Model]) -> list[Model]:
    """The models with their shares, proportional to the root of the evidence, best first; small shares are dropped."""
    best = max(m.evidence for m in models)
    shares = [math.exp(_TEMPER * (m.evidence - best)) for m in models]
    kept = [(s, m) for s, m in zip(shares, models, strict=True) if s >= _LEAST_SHARE * sum(shares)]
    total = sum(s for s, _ in kept)
    ordered = sorted(kept, key=lambda pair: -pair[0])
    return [replace(m, weight=s / total) for s, m in ordered]


Fit = tuple[Hyper, float, Tensor]
"""Hyperparameters, their evidence, and the weights of the sources `[S]`."""

_fits: OrderedDict[tuple[Any, ...], Fit | None] = OrderedDict()
"""Of this process, the latest used last; what is in it depends on the points alone."""


def _remembered(kernel: Kernel, x: Tensor, steady_N: Tensor, prior_NS: Tensor) -> Fit | None:
    """As `_fitted` of standardised values, and remembered: equal values of equal points are fitted once."""
    y = (steady_N - steady_N.mean()) / steady_N.std(correction=0).clamp(min=1e-12)
    key = (kernel.identity, x.numpy().tobytes(), y.numpy().tobytes(), prior_NS.numpy().round(9).tobytes())
    if key not in _fits:
        _fits[key] = _fitted(kernel, x, y, prior_NS)
    _fits.move_to_end(key)
    while len(_fits) > _KEPT_FITS:
        _fits.popitem(last=False)
    return _fits[key]


def _in_unit_of(target_N: Tensor, fitted: Fit) -> Fit:
    """A fit for a target that it was made to in its standardised form.

    The best and the newest differ less than all points do: without this every point would be too uncertain.
    """
    hyper, evidence, trust_S = fitted
    square = target_N.var(correction=0)
    if float(square) < 1e-12:
        return fitted
    hyper = replace(hyper, variances=tuple(v * square for v in hyper.variances), noise=hyper.noise * square)
    return hyper, evidence, trust_S * square.sqrt()


def _fitted(kernel: Kernel, x: Tensor, y: Tensor, prior_NS: Tensor) -> Fit | None:
    """The best fit; None if no finite one could be found."""
    differentiated = Differentiated(kernel, x)
    own, sources = kernel.size, prior_NS.shape[1]
    # The weights of the sources stand behind the kernel's hyperparameters.
    start = torch.cat([kernel.start(), torch.full((sources,), WEIGHT[0], dtype=torch.float64)])
    sd = torch.cat([kernel.prior_sd(), torch.full((sources,), WEIGHT[1], dtype=torch.float64)])

    def negative_evidence(raw_: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        raw = torch.from_numpy(raw_)
        hyper, trust_S = kernel.unpack(raw[:own]), raw[own:]
        covariance, parts = differentiated.covariance(hyper)
        root, alpha, value = _solve(covariance, hyper.noise, y - prior_NS @ trust_S)
        if root is None:
            return 1e10, np.zeros_like(raw_)
        # d log p(y) / dK = (alpha alpha^T - K^-1) / 2
        by_covariance = 0.5 * (torch.outer(alpha, alpha) - torch.cholesky_inverse(root))
        away = (raw - start) / sd
        by_trust_S = prior_NS.T @ alpha
        gradient = torch.cat([differentiated.gradient(hyper, parts, by_covariance), by_trust_S]) - away / sd
        return 0.5 * float(away @ away) - float(value), (-gradient).numpy()

    result = minimize(
        negative_evidence,
        start.numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=[*kernel.bounds(), *[(0.0, MOST_WEIGHT)] * sources],
        options={"maxiter": _ITERATIONS},
    )
    if not math.isfinite(result.fun) or result.fun >= 1e10:
        return None
    raw = torch.tensor(result.x, dtype=torch.float64)
    return kernel.unpack(raw[:own]), -float(result.fun), raw[own:]


def _posterior(kernel: Kernel, hyper: Hyper, evidence: float, features_ND: Tensor, target_N: Tensor) -> Model | None:
    root, alpha, _ = _solve(kernel(hyper, features_ND, features_ND), hyper.noise, target_N)
    if root is None:
        return None
    return Model(kernel, hyper, features_ND, root, alpha, float(hyper.noise), evidence)


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
            return Model(kernel, hyper, features_ND, root, alpha, float(noise), float(value))
        noise = noise * 10
    raise FitError("the covariance of the observed points has no Cholesky factor even with large noise")
