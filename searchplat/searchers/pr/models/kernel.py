"""Kernels that know bits and layers, with the derivatives that fitting them needs.

A kernel is a sum of parts with learned variances. With features f and f' of two points, relevances r of the axes
(mean 1), and normalisers Z that make every part 1 on the diagonal of a pure layout:

    main     sum_a r_a f_a f'_a / Z
    pairs    sum_{a<b} r_a r_b f_a f_b f'_a f'_b / Z                           all pairs of axes
    within   the same over pairs of bits of one layer
    between  the same over pairs of bits of neighbouring layers
    general  exp(-rate / 4 sum_a r_a (f_a - f'_a)^2 )                          all orders of interaction

Shapes: `N` observed points, `M` asked points, `A` axes, `D` feature columns, `P` pairs of bits, `C` parts.
Next: `surrogate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding, Kind

FAMILIES: dict[str, tuple[str, ...]] = {
    "general": ("main", "general"),
    "pairs": ("main", "pairs", "general"),
    "layers": ("main", "within", "between", "general"),
    "full": ("main", "pairs", "within", "between", "general"),
}
"""Parts of each kernel family. `full` leaves it to the fitted variances which parts the data speak for."""

# Priors, as (median, standard deviation of the logarithm), for standardised objectives.
EVEN, FREE = 0.1, 0.7  # of an axis's and of its layer's log relevance; 0.7: two thirds lie within a factor of two
VARIANCE = (0.25, 1.0)
NOISE = (0.2, 1.0)
RATE = (10.0, 1.0)  # over the number of axes: random layouts then correlate by about exp(-5)
_NOISE_FLOOR = 1e-5  # of the objective's variance; smaller ones only cost numerical rank
_MEAN_VARIANCE = 1.0  # of the unknown constant mean, as a kernel part


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
        relevance_sd: Standard deviation of the prior of log relevances.
    """

    def __init__(self, encoding: Encoding, parts: Sequence[str], relevance_sd: float = FREE) -> None:
        self.parts = tuple(parts)
        self.identity = (self.parts, relevance_sd, *((a.kind, a.levels, a.layer) for a in encoding.axes))
        """Equal for kernels that are the same function of features and hyperparameters."""
        self.axes = encoding.width
        self.axis_of_column = encoding.axis_of_column
        self._relevance_sd = relevance_sd
        column_of_bit = {int(a): c for c, a in enumerate(encoding.axis_of_column)}
        layers = [(axis.layer, column_of_bit[a]) for a, axis in enumerate(encoding.axes) if axis.layer is not None]
        layer_of_axis = torch.tensor([-1 if axis.layer is None else axis.layer for axis in encoding.axes])
        self.layers = 1 + int(layer_of_axis.max()) if layers else 0
        self._layer_of_axis, self._has_layer = layer_of_axis.clamp(min=0), (layer_of_axis >= 0).double()
        self.pairs_of = {"within": _pairs(layers, 0), "between": _pairs(layers, 1)}
        self.with_pairs = any(part in self.pairs_of for part in self.parts)
        self.scale_D = torch.ones(len(self.axis_of_column), dtype=torch.float64)
        for a, axis in enumerate(encoding.axes):
            if axis.kind is Kind.CATEGORICAL:  # make the axis's columns 1 together on the diagonal
                self.scale_D[self.axis_of_column == a] = 1 / (2 * (1 - 1 / axis.levels))

    @property
    def size(self) -> int:
        """Number of hyperparameters: own and layer relevances, variances of the parts, rate, noise."""
        return self.axes + self.layers + len(self.parts) + 2

    def unpack(self, raw: Tensor) -> Hyper:
        """Hyperparameters from the unconstrained vector."""
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
        raw[self.axes + self.layers : -2] = math.log(VARIANCE[0])
        raw[-2] = math.log(RATE[0] / self.axes)
        raw[-1] = math.log(NOISE[0])
        return raw

    def bounds(self) -> list[tuple[float, float]]:
        """The range in which each unconstrained value is looked for."""
        ranges = [(s - 6.0, s + 6.0) for s in self.start().tolist()]
        ranges[-1] = (math.log(_NOISE_FLOOR) - 2.0, math.log(4.0))
        return ranges

    def prior_sd(self) -> Tensor:
        """Standard deviations of the priors, unconstrained."""
        sd = torch.full((self.size,), self._relevance_sd, dtype=torch.float64)
        sd[self.axes + self.layers : -2] = VARIANCE[1]
        sd[-2], sd[-1] = RATE[1], NOISE[1]
        return sd

    def against(self, hyper: Hyper, right_ND: Tensor) -> Covariance:
        """The covariances with fixed points, for many calls."""
        return Covariance(self, hyper, right_ND)

    def __call__(self, hyper: Hyper, left_MD: Tensor, right_ND: Tensor) -> Tensor:
        """Covariance of the noise-free objective `[M, N]`; differentiable in the features."""
        return Covariance(self, hyper, right_ND)(left_MD)

    def diagonal(self, hyper: Hyper, features_MD: Tensor) -> Tensor:
        """Variance of the noise-free objective at each point `[M]`."""
        squares_MD = features_MD**2
        squares_DM = squares_MD.T.contiguous()
        inner_M = squares_MD @ hyper.weight_D
        total = torch.full_like(inner_M, _MEAN_VARIANCE)
        for part, variance in zip(self.parts, hyper.variances, strict=True):
            if part == "main":
                total = total + (variance / self.axes) * inner_M
            elif part == "pairs":
                total = total + (variance / self.norm(hyper)) * (inner_M**2 - squares_MD**2 @ hyper.weight_D**2)
            elif part == "general":
                total = total + variance
            else:
                first, second = self.pairs_of[part]
                weight_P = self.pair_weights(hyper, part, variance)
                total = total + weight_P @ (squares_DM[first] * squares_DM[second])
        return total

    def norm(self, hyper: Hyper) -> Tensor:
        """Twice the sum of r_a r_b over pairs of axes."""
        return self.axes**2 - (hyper.relevance_A**2).sum()

    def pair_weights(self, hyper: Hyper, part: str, variance: Tensor) -> Tensor:
        """Weights `[P]` of the products of `within` or `between`; they sum to the part's variance."""
        first, second = self.pairs_of[part]
        weight_P = hyper.weight_D[first] * hyper.weight_D[second]
        return weight_P * (variance / weight_P.sum())

    def pull_back(self, by_weight_D: Tensor, by_relevance_A: Tensor, hyper: Hyper) -> Tensor:
        """Derivatives by the unconstrained relevances `[A + layers]` from those by column weights and relevances."""
        by_axis_A = by_relevance_A.index_add(0, self.axis_of_column, by_weight_D * self.scale_D)
        scaled_A = hyper.relevance_A * by_axis_A
        by_log_A = scaled_A - hyper.relevance_A * (scaled_A.sum() / self.axes)  # through the softmax
        if not self.layers:
            return by_log_A
        by_layer = torch.zeros(self.layers, dtype=by_log_A.dtype)
        by_layer.index_add_(0, self._layer_of_axis, by_log_A * self._has_layer)
        return torch.cat([by_log_A, by_layer])


class Covariance:
    """k(., x) for fixed points x: what depends on them alone is computed once."""

    def __init__(self, kernel: Kernel, hyper: Hyper, right_ND: Tensor) -> None:
        self._kernel, self._hyper = kernel, hyper
        weight_D = hyper.weight_D
        self._weighted_DN = (right_ND * weight_D).T
        squares_ND = right_ND**2
        self._right_N = squares_ND @ weight_D
        self._squares_DN = (squares_ND * weight_D**2).T if "pairs" in kernel.parts else None
        chosen = [(p, v) for p, v in zip(kernel.parts, hyper.variances, strict=True) if p in kernel.pairs_of]
        if chosen:
            self._first_P = torch.cat([kernel.pairs_of[part][0] for part, _ in chosen])
            self._second_P = torch.cat([kernel.pairs_of[part][1] for part, _ in chosen])
            weight_P = torch.cat([kernel.pair_weights(hyper, part, variance) for part, variance in chosen])
            self._products_PN = (right_ND[:, self._first_P] * right_ND[:, self._second_P] * weight_P).T

    def __call__(self, left_MD: Tensor) -> Tensor:
        """Covariances `[M, N]`; differentiable in the features."""
        kernel, hyper = self._kernel, self._hyper
        inner_MN = left_MD @ self._weighted_DN
        total: Any = _MEAN_VARIANCE  # a number until the first part makes it a matrix
        for part, variance in zip(kernel.parts, hyper.variances, strict=True):
            if part == "main":
                total = total + (variance / kernel.axes) * inner_MN
            elif part == "pairs":
                assert self._squares_DN is not None
                total = total + (variance / kernel.norm(hyper)) * (inner_MN**2 - (left_MD**2) @ self._squares_DN)
            elif part == "general":
                left_M = (left_MD**2) @ hyper.weight_D
                distance_MN = left_M[:, None] + self._right_N - 2 * inner_MN
                total = total + variance * torch.exp((-hyper.rate / 4) * distance_MN)
        if kernel.with_pairs:
            left_DM = left_MD.T.contiguous()  # whole rows are gathered faster than columns
            total = total + (left_DM[self._first_P] * left_DM[self._second_P]).T @ self._products_PN
        return cast(Tensor, total)


class Differentiated:
    """The covariance of fixed points with themselves as a function of the hyperparameters, with its derivatives.

    By hand, as automatic differentiation takes three times as long on matrices of this size.
    """

    def __init__(self, kernel: Kernel, points_ND: Tensor) -> None:
        self.kernel = kernel
        self._points_ND = points_ND
        self._squares_ND = points_ND**2
        self._products_NP = {
            part: points_ND[:, first] * points_ND[:, second]
            for part, (first, second) in kernel.pairs_of.items()
            if part in kernel.parts
        }

    def covariance(self, hyper: Hyper) -> tuple[Tensor, dict[str, Tensor]]:
        """Covariance `[N, N]` without noise, and its parts by name together with `inner` and `distance`."""
        kernel, points_ND, squares_ND = self.kernel, self._points_ND, self._squares_ND
        weight_D = hyper.weight_D
        inner_NN = (points_ND * weight_D) @ points_ND.T
        parts = {"inner": inner_NN}
        total = torch.full_like(inner_NN, _MEAN_VARIANCE)
        for part, variance in zip(kernel.parts, hyper.variances, strict=True):
            if part == "main":
                parts[part] = (variance / kernel.axes) * inner_NN
            elif part == "pairs":
                own_NN = (squares_ND * weight_D**2) @ squares_ND.T
                parts[part] = (variance / kernel.norm(hyper)) * (inner_NN**2 - own_NN)
            elif part == "general":
                own_N = inner_NN.diagonal()
                parts["distance"] = own_N[:, None] + own_N - 2 * inner_NN
                parts[part] = variance * torch.exp((-hyper.rate / 4) * parts["distance"])
            else:
                products_NP = self._products_NP[part]
                parts[part] = (products_NP * kernel.pair_weights(hyper, part, variance)) @ products_NP.T
            total += parts[part]
        return total, parts

    def gradient(self, hyper: Hyper, parts: dict[str, Tensor], by_covariance_NN: Tensor) -> Tensor:
        """Derivatives `[size]` by the unconstrained hyperparameters, given those by a covariance with noise.

        Args:
            parts: As `covariance` returned them.
            by_covariance_NN: Symmetric.
        """
        kernel, points_ND, squares_ND = self.kernel, self._points_ND, self._squares_ND
        weight_D, relevance_A = hyper.weight_D, hyper.relevance_A
        by_relevance_A = torch.zeros_like(relevance_A)
        by_weight_D = torch.zeros_like(weight_D)
        by_rate = torch.zeros((), dtype=weight_D.dtype)
        # Parts that depend on a weight through f_a f'_a share one matrix product.
        by_inner_NN = torch.zeros_like(by_covariance_NN)
        by_variances = []
        for part, variance in zip(kernel.parts, hyper.variances, strict=True):
            by_part = (by_covariance_NN * parts[part]).sum()
            by_variances.append(by_part)
            if part == "main":
                by_inner_NN.add_(by_covariance_NN, alpha=float(variance) / kernel.axes)
            elif part == "pairs":
                scale = float(variance / kernel.norm(hyper))
                by_inner_NN.addcmul_(by_covariance_NN, parts["inner"], value=2 * scale)
                own_D = ((by_covariance_NN @ squares_ND) * squares_ND).sum(0)
                by_weight_D -= (2 * scale) * weight_D * own_D
                by_relevance_A += (2 * by_part / kernel.norm(hyper)) * relevance_A
            elif part == "general":
                by_general_NN = by_covariance_NN * parts["general"]
                by_rate = (-hyper.rate / 4) * (by_general_NN * parts["distance"]).sum()
                by_inner_NN.add_(by_general_NN, alpha=float(hyper.rate) / 2)
                by_weight_D -= (hyper.rate / 2) * (by_general_NN.sum(1) @ squares_ND)
            else:
                first, second = kernel.pairs_of[part]
                products_NP = self._products_NP[part]
                total = (weight_D[first] * weight_D[second]).sum()
                by_pair_P = ((by_covariance_NN @ products_NP) * products_NP).sum(0) * (variance / total)
                by_pair_P -= by_part / total
                by_weight_D.index_add_(0, first, by_pair_P * weight_D[second])
                by_weight_D.index_add_(0, second, by_pair_P * weight_D[first])
        by_weight_D += ((by_inner_NN @ points_ND) * points_ND).sum(0)
        by_noise = (hyper.noise - _NOISE_FLOOR) * by_covariance_NN.diagonal().sum()
        relevances = kernel.pull_back(by_weight_D, by_relevance_A, hyper)
        return torch.cat([relevances, torch.stack([*by_variances, by_rate, by_noise])])


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
