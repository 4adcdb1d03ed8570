"""One draw of the objective from a model's posterior, as a function that can be asked anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from searchplat.searchers.pr.acquisition import log_above
from searchplat.searchers.pr.models.surrogate import Model

_WAVES = 512  # random Fourier features of the general part


class PosteriorDraw:
    """A posterior path by Matheron's rule: a path of the prior, moved to agree with the data (Wilson et al. 2020).

    The kernel's polynomial parts have exact finite features; the general part uses random Fourier features.
    As a log acquisition it is the log-softplus of the path above the incumbent, which keeps the order. Pending points
    need no care: each trial has a draw of its own, and that is what keeps parallel trials apart.
    """

    def __init__(self, model: Model, generator: torch.Generator) -> None:
        self._model = model
        kernel = model.kernel
        hyper, weight_D = model.hyper, model.hyper.weight_D
        width = len(weight_D)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        self._level = normal(1)
        self._linear_D = torch.zeros(width, dtype=torch.float64)
        self._square_DD = torch.zeros((width, width), dtype=torch.float64)
        self._wave_amplitude = torch.zeros((), dtype=torch.float64)
        for part, variance in zip(kernel.parts, hyper.variances, strict=True):
            if part == "main":
                self._linear_D = normal(width) * (variance / kernel.axes * weight_D).sqrt()
            elif part == "pairs":
                norm = kernel.axes**2 - (hyper.relevance_A**2).sum()
                scale = (2 * variance / norm * torch.outer(weight_D, weight_D)).sqrt()
                self._square_DD += torch.triu(normal(width, width) * scale, 1)
            elif part == "general":
                self._wave_amplitude = (2 * variance / _WAVES).sqrt()
            else:
                first, second = kernel.pairs_of[part]
                pair_P = weight_D[first] * weight_D[second]
                self._square_DD[first, second] += normal(len(first)) * (variance / pair_P.sum() * pair_P).sqrt()
        self._waves_DW = normal(width, _WAVES) * (hyper.rate / 2 * weight_D).sqrt()[:, None]
        self._phase_W = 2 * torch.pi * torch.rand(_WAVES, generator=generator, dtype=torch.float64)
        self._wave_W = normal(_WAVES)

        observed_ND = model.features_ND
        targets = model.root_NN @ (model.root_NN.T @ model.alpha_N)
        residual = targets - self._prior(observed_ND) - hyper.noise.sqrt() * normal(len(observed_ND))
        self._update_N = torch.cholesky_solve(residual[:, None], model.root_NN)[:, 0]
        self._best = model.mean(observed_ND).max()

    def _prior(self, features_MD: Tensor) -> Tensor:
        waves = torch.cos(features_MD @ self._waves_DW + self._phase_W) @ self._wave_W
        quadratic = ((features_MD @ self._square_DD) * features_MD).sum(1)
        return self._level + features_MD @ self._linear_D + quadratic + self._wave_amplitude * waves

    def path(self, features_MD: Tensor) -> Tensor:
        """Values of the sampled objective `[M]`."""
        cross_MN = self._model.covariance(features_MD)
        return self._model.prior(features_MD) + self._prior(features_MD) + cross_MN @ self._update_N

    def __call__(self, features_MD: Tensor) -> Tensor:
        """Log values `[M]`."""
        return log_above(self.path(features_MD), self._best)
