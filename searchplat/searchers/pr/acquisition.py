"""What a point is worth, as a logarithm: the larger, the sooner it should be tried.

Every acquisition is a callable from features `[M, D]` to log values `[M]`, differentiable in the features. Averages,
over models and over draws of the reparameterization, are taken of the values themselves, by logsumexp: the mean of
the logarithms would be another objective. Next: `optimizer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import sobol
from searchplat.searchers.pr.models.surrogate import Model

LogAcquisition = Callable[[Tensor], Tensor]

_BASELINE = 12  # observed points, best by posterior mean, among which the incumbent is believed to be
_DRAWS = 32  # joint posterior draws of the baseline's values
_SQRT_2PI = math.sqrt(2 * math.pi)


def log_expected_improvement(mean: Tensor, deviation: Tensor, best: Tensor) -> Tensor:
    """log E[max(f - best, 0)] of a Gaussian, accurate where it underflows; arguments broadcast.

    With u = (mean - best) / deviation: log deviation + log(phi(u) + u Phi(u)); for u < -1 by the scaled
    complementary error function, for u < -1e4 by its asymptote -2 log(-u) (Ament et al. 2023, LogEI, eq. 9).
    """
    u = (mean - best) / deviation
    up = u.clamp(min=-1.0)
    direct = (torch.exp(-0.5 * up**2) / _SQRT_2PI + up * torch.special.ndtr(up)).log()
    down = u.clamp(min=-1e4, max=-1.0)
    # phi(u) (1 - |u| r(|u|)) with Mills' ratio r(x) = sqrt(pi / 2) erfcx(x / sqrt 2)
    mills = math.sqrt(math.pi / 2) * torch.special.erfcx(-down / math.sqrt(2))
    tail = torch.log1p((down * mills).clamp(min=-1 + 1e-12)) - 0.5 * u.clamp(max=-1.0) ** 2 - math.log(_SQRT_2PI)
    far = -2 * (-u.clamp(max=-1e3)).log() - 0.5 * u.clamp(max=-1.0) ** 2 - math.log(_SQRT_2PI)
    return deviation.log() + torch.where(u > -1, direct, torch.where(u > -1e3, tail, far))


class NoisyEI:
    """Log noisy expected improvement of one model, averaged over what the incumbent's value may be.

    `E_s[EI(x | f_s)]`, where `f_s` are joint posterior draws of the noise-free objective at a baseline: the observed
    points with the best posterior means, and all pending points (Letham et al. 2019; pending points as in BoTorch's
    qNoisyExpectedImprovement). Near a pending point the conditional variance, and with it the value, vanishes.

    Args:
        model: The surrogate.
        observed_ND: Features of observed points.
        pending_QD: Features of points under evaluation.
        seed: Draws the baseline's values (scrambled Sobol).
    """

    def __init__(self, model: Model, observed_ND: Tensor, pending_QD: Tensor, seed: int) -> None:
        best = model.mean(observed_ND).topk(min(_BASELINE, len(observed_ND))).indices
        self._model = model
        base_BD = torch.cat([observed_ND[best], pending_QD])
        mean_B, covariance_BB = model.joint(base_BD)
        _, self._half_NB = model.half(base_BD)
        # One call for the covariances with observed and baseline points: they share most of the work.
        self._covariance = model.kernel.against(model.hyper, torch.cat([model.features_ND, base_BD]))
        jitter = 1e-6 * covariance_BB.diagonal().mean().clamp(min=1e-6)
        root_BB = safe_root(covariance_BB, jitter)
        uniform = sobol(len(mean_B), _DRAWS, seed)
        normal_SB = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
        deviation_BS = root_BB @ normal_SB.T
        self._best_S = (mean_B[:, None] + deviation_BS).amax(0)
        self._root_BB = root_BB
        # What a candidate's covariances with the baseline are multiplied by to move its mean.
        self._move_BS = torch.cholesky_solve(deviation_BS, root_BB)

    def __call__(self, features_MD: Tensor) -> Tensor:
        model = self._model
        cross_MN, base_MB = torch.split(self._covariance(features_MD), [len(model.alpha_N), len(self._root_BB)], 1)
        half_NM = torch.linalg.solve_triangular(model.root_NN, cross_MN.T, upper=False)
        with_base_MB = base_MB - half_NM.T @ self._half_NB
        prior_M = model.kernel.diagonal(model.hyper, features_MD)
        explained_BM = torch.linalg.solve_triangular(self._root_BB, with_base_MB.T, upper=False)
        variance_M = prior_M - (half_NM**2).sum(0) - (explained_BM**2).sum(0)
        mean_M = model.prior(features_MD) + cross_MN @ model.alpha_N
        mean_MS = mean_M[:, None] + with_base_MB @ self._move_BS
        deviation_M = variance_M.clamp(min=1e-9).sqrt()
        values_MS = log_expected_improvement(mean_MS, deviation_M[:, None], self._best_S)
        return torch.logsumexp(values_MS, 1) - math.log(values_MS.shape[1])


class UpperBound:
    """Upper confidence bound of one model, as `log_above` the incumbent, which keeps the order.

    Pending points enter with their posterior mean, so they shrink the variance around them (GP-BUCB).

    Args:
        beta: Standard deviations above the mean.
    """

    def __init__(self, model: Model, observed_ND: Tensor, pending_QD: Tensor, beta: float) -> None:
        self._model, self._beta = model.believing(pending_QD), beta
        self._best = model.mean(observed_ND).max()

    def __call__(self, features_MD: Tensor) -> Tensor:
        mean_M, variance_M = self._model.posterior(features_MD)
        return log_above(mean_M + self._beta * variance_M.sqrt(), self._best)


class Averaged:
    """Log of the weighted mean of several models' values, plus the log of other factors.

    Args:
        parts: Log acquisitions of the models.
        weights: Their shares.
        factors: Log probabilities that multiply the mean, e.g. of not failing.
    """

    def __init__(
        self, parts: Sequence[LogAcquisition], weights: Sequence[float], factors: Sequence[LogAcquisition] = ()
    ) -> None:
        self._parts, self._factors = tuple(parts), tuple(factors)
        self._log_weights = torch.tensor(weights, dtype=torch.float64).log()

    def __call__(self, features_MD: Tensor) -> Tensor:
        if len(self._parts) == 1:
            value_M = self._parts[0](features_MD)
        else:
            values = torch.stack([part(features_MD) for part in self._parts])
            value_M = torch.logsumexp(values + self._log_weights[:, None], 0)
        for factor in self._factors:
            value_M = value_M + factor(features_MD)
        return value_M


class Success:
    """Log probability that a trial ends well: a Gaussian process on +1 (ended well) and -1 (failed), through a probit.

    Args:
        model: Fitted to the labels less their mean.
        mean: The labels' mean.
    """

    def __init__(self, model: Model, mean: float) -> None:
        self._model, self._mean = model, mean

    def __call__(self, features_MD: Tensor) -> Tensor:
        mean_M, variance_M = self._model.posterior(features_MD)
        # The labels' scale is 1; half of it as the probit's width makes +1 mean "almost surely" (0.98).
        share_M: Tensor = torch.special.log_ndtr((mean_M + self._mean) / (0.25 + variance_M).sqrt())
        return share_M


def log_above(value: Tensor, best: Tensor) -> Tensor:
    """A log value for quantities without a natural zero: log softplus of the gain on the best, in fifths of a unit.

    It keeps the order, and its mean over draws leans to the good ones as expected improvement does.
    """
    gain = 5 * (value - best)
    # log(softplus(g)) -> g for very negative g, where softplus underflows.
    within = gain.clamp(min=-30)
    return torch.where(gain < -30, gain, torch.logaddexp(within, torch.zeros_like(within)).log())


def safe_root(covariance: Tensor, jitter: Tensor) -> Tensor:
    """Cholesky factor with as little jitter as it takes, in factors of ten."""
    eye = torch.eye(len(covariance), dtype=covariance.dtype)
    for power in range(8):
        root: Tensor
        root, failed = torch.linalg.cholesky_ex(covariance + jitter * 10.0**power * eye)
        if not int(failed) and bool(torch.isfinite(root).all()):
            return root
    return torch.diag(covariance.diagonal().clamp(min=1e-9).sqrt())
