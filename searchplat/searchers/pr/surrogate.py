"""What is believed of the objective: exact Gaussian processes whose kernels know bits and layers.

A kernel is a sum of parts with learned variances. With features f and f' of two points, relevances r of the axes
(mean 1), and normalisers Z that make every part 1 on the diagonal of a pure layout:

    main     sum_a r_a f_a f'_a / Z
    pairs    sum_{a<b} r_a r_b f_a f_b f'_a f'_b / Z                           all pairs of axes
    within   the same over pairs of bits of one layer
    between  the same over pairs of bits of neighbouring layers
    general  exp(-rate / 4 sum_a r_a (f_a - f'_a)^2 )                          all orders of interaction

The families of `FAMILIES` are fitted side by side to the maximum of their marginal likelihood times the priors, and
weighted by it. Noise is learned; repeats of a point are separate rows and so enter with their variance.
Shapes: `N` observed points, `M` asked points, `A` axes, `D` feature columns, `C` parts. Next: `acquisition`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding, Kind

FAMILIES: dict[str, tuple[str, ...]] = {
    "general": ("main", "general"),
    "pairs": ("main", "pairs", "general"),
    "layers": ("main", "within", "between", "general"),
}
"""Parts of each kernel family."""

# Priors, as (median, standard deviation of the logarithm), for standardised objectives.
_RELEVANCE_SD = 0.7  # of an axis's and of its layer's log relevance: two thirds lie within a factor of two
_VARIANCE = (0.5, 1.0)
_NOISE = (0.1, 1.5)
_RATE = (2.0, 1.0)  # over the number of axes: random points then correlate by about exp(-1)
_NOISE_FLOOR = 1e-5  # of the objective's variance; smaller ones only cost numerical rank
_MEAN_VARIANCE = 1.0  # of the unknown constant mean, as a kernel part
_MOST_FITTED = 300  # points that hyperparameters are fitted to; the posterior uses all
_ITERATIONS = 60


class FitError(Exception):
    """No finite fit could be found."""


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters in the form that covariances use.

    Args:
        relevance_A: Of the axes, mean 1.
        weight_D: Of the feature columns.
        variances: Of the parts, in their order.
        rate: Of the general part.
        noise: Variance of an observation's noise.
    """

    relevance_A: Tensor
    weight_D: Tensor
    variances: tuple[Tensor, ...]
    rate: Tensor
    noise: Tensor


class Kernel:
    """A family's kernel over an encoding's features.

    Args:
        encoding: The axes.
        parts: Names from the module's table.
    """

    def __init__(self, encoding: Encoding, parts: Sequence[str]) -> None:
        self.parts = tuple(parts)
        self.axes = encoding.width
        self.axis_of_column = encoding.axis_of_column
        column_of_bit = {int(a): c for c, a in enumerate(encoding.axis_of_column)}
        layers = [(axis.layer, column_of_bit[a]) for a, axis in enumerate(encoding.axes) if axis.layer is not None]
        layer_of_axis = torch.tensor([-1 if axis.layer is None else axis.layer for axis in encoding.axes])
        self.layers = 1 + int(layer_of_axis.max()) if layers else 0
        self._layer_of_axis, self._has_layer = layer_of_axis.clamp(min=0), (layer_of_axis >= 0).double()
        self.within = _pairs(layers, 0)
        self.between = _pairs(layers, 1)
        self.scale_D = torch.ones(len(self.axis_of_column), dtype=torch.float64)
        for a, axis in enumerate(encoding.axes):
            if axis.kind is Kind.CATEGORICAL:  # make the axis's columns 1 together on the diagonal
                self.scale_D[self.axis_of_column == a] = 1 / (2 * (1 - 1 / axis.levels))

    @property
    def size(self) -> int:
        """Number of hyperparameters: own and layer relevances, variances of the parts, rate, noise."""
        return self.axes + self.layers + len(self.parts) + 2

    def unpack(self, raw: Tensor) -> Hyper:
        """Hyperparameters from the unconstrained vector; differentiable."""
        own, layer, variances, rest = torch.split(raw, [self.axes, self.layers, len(self.parts), 2])
        log_relevance = own
        if self.layers:
            log_relevance = own + layer[self._layer_of_axis] * self._has_layer
        relevance_A = torch.softmax(log_relevance, 0) * self.axes
        weight_D = relevance_A[self.axis_of_column] * self.scale_D
        return Hyper(relevance_A, weight_D, variances.exp().unbind(), rest[0].exp(), rest[1].exp() + _NOISE_FLOOR)

    def start(self) -> Tensor:
        """The priors' medians, unconstrained."""
        raw = torch.zeros(self.size, dtype=torch.float64)
        raw[self.axes + self.layers : -2] = math.log(_VARIANCE[0])
        raw[-2] = math.log(_RATE[0] / self.axes)
        raw[-1] = math.log(_NOISE[0])
        return raw

    def log_prior(self, raw: Tensor) -> Tensor:
        """Log density of the priors, without constants that all families share."""
        sd = torch.full_like(raw, _RELEVANCE_SD)
        sd[self.axes + self.layers : -2] = _VARIANCE[1]
        sd[-2], sd[-1] = _RATE[1], _NOISE[1]
        return -0.5 * (((raw - self.start()) / sd) ** 2).sum()

    def __call__(self, hyper: Hyper, left_MD: Tensor, right_ND: Tensor) -> Tensor:
        """Covariance of the noise-free objective `[M, N]`."""
        weight_D = hyper.weight_D
        weighted_ND = right_ND * weight_D
        inner_MN = left_MD @ weighted_ND.T
        total: Any = _MEAN_VARIANCE  # a number until the first part makes it a matrix
        for part, variance in zip(self.parts, hyper.variances, strict=True):
            if part == "main":
                total = total + (variance / self.axes) * inner_MN
            elif part == "pairs":
                squares_MN = (left_MD**2) @ (weighted_ND**2).T
                total = total + (variance / self._norm(hyper)) * (inner_MN**2 - squares_MN)
            elif part == "general":
                left_M = (left_MD**2) @ weight_D
                right_N = (right_ND * weighted_ND).sum(1)
                distance_MN = left_M[:, None] + right_N - 2 * inner_MN
                total = total + variance * torch.exp((-hyper.rate / 4) * distance_MN)
            else:
                first, second = self.within if part == "within" else self.between
                pair_P = weight_D[first] * weight_D[second]
                products_NP = right_ND[:, first] * right_ND[:, second] * (variance / pair_P.sum() * pair_P)
                total = total + (left_MD[:, first] * left_MD[:, second]) @ products_NP.T
        return cast(Tensor, total)

    def diagonal(self, hyper: Hyper, features_MD: Tensor) -> Tensor:
        """Variance of the noise-free objective at each point `[M]`."""
        weighted_MD = features_MD**2 * hyper.weight_D
        inner_M = weighted_MD.sum(1)
        total = torch.full_like(inner_M, _MEAN_VARIANCE)
        for part, variance in zip(self.parts, hyper.variances, strict=True):
            if part == "main":
                total = total + (variance / self.axes) * inner_M
            elif part == "pairs":
                total = total + (variance / self._norm(hyper)) * (inner_M**2 - (weighted_MD**2).sum(1))
            elif part == "general":
                total = total + variance
            else:
                first, second = self.within if part == "within" else self.between
                pair_P = hyper.weight_D[first] * hyper.weight_D[second]
                squares_MP = (features_MD[:, first] * features_MD[:, second]) ** 2
                total = total + squares_MP @ (variance / pair_P.sum() * pair_P)
        return total

    def _norm(self, hyper: Hyper) -> Tensor:
        """Twice the sum of r_a r_b over pairs of axes."""
        return self.axes**2 - (hyper.relevance_A**2).sum()


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

    def mean(self, features_MD: Tensor) -> Tensor:
        """Posterior mean of the noise-free objective `[M]`."""
        return self.kernel(self.hyper, features_MD, self.features_ND) @ self.alpha_N

    def half(self, features_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-covariances `[M, N]`, and `L^-1` of them `[N, M]`: what means and covariances are made of."""
        cross_MN = self.kernel(self.hyper, features_MD, self.features_ND)
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
    """Fit the families, and weigh them by their evidence; those below 2 % are dropped.

    Args:
        features_ND: Features of the observed points.
        target_N: Standardised objective, larger is better.

    Raises:
        FitError: If no family has a finite fit.
    """
    models = []
    for family in families:
        kernel = Kernel(encoding, FAMILIES[family])
        model = _fitted(family, kernel, features_ND, target_N)
        if model is not None:
            models.append(model)
    if not models:
        raise FitError("no kernel family had a finite marginal likelihood")
    return weighed(models)


def weighed(models: Sequence[Model]) -> list[Model]:
    """The models with their shares by evidence, best first; shares below 2 % are dropped."""
    best = max(m.evidence for m in models)
    shares = [math.exp(m.evidence - best) for m in models]
    kept = [(s, m) for s, m in zip(shares, models, strict=True) if s >= 0.02 * sum(shares)]
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

    def negative_evidence(raw_: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        raw = torch.tensor(raw_, dtype=torch.float64, requires_grad=True)
        hyper = kernel.unpack(raw)
        covariance, noise = kernel(hyper, x, x), hyper.noise
        with torch.no_grad():
            root, alpha, value = _solve(covariance, noise, y)
            if root is None:
                return 1e10, np.zeros_like(raw_)
            # d log p(y) / dK = (alpha alpha^T - K^-1) / 2; cheaper than differentiating the Cholesky factor.
            sensitivity = 0.5 * (torch.outer(alpha, alpha) - torch.cholesky_inverse(root))
        prior = kernel.log_prior(raw)
        surrogate = (covariance * sensitivity).sum() + noise * sensitivity.diagonal().sum() + prior
        (gradient,) = torch.autograd.grad(-surrogate, raw)
        return -(float(value) + float(prior.detach())), gradient.numpy()

    start = kernel.start().numpy()
    bounds = [(s - 6.0, s + 6.0) for s in start]
    bounds[-1] = (math.log(_NOISE_FLOOR) - 2.0, math.log(4.0))
    result = minimize(
        negative_evidence, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}
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


def _pairs(layers: Sequence[tuple[int | None, int]], apart: int) -> tuple[Tensor, Tensor]:
    """Column indices of all pairs of bits whose layers are `apart` from each other, each pair once."""
    chosen = [
        (i, j)
        for k, (layer, i) in enumerate(layers)
        for other, j in (layers[k + 1 :] if apart == 0 else layers)
        if layer is not None and other is not None and other - layer == apart
    ]
    first, second = zip(*chosen, strict=True) if chosen else ((), ())
    return torch.tensor(first, dtype=torch.long), torch.tensor(second, dtype=torch.long)


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
