"""The search for the acquisition's best point: PR with Adam from many starts, then single moves by the true value.

All draws are scored by the true acquisition anyway, so each restart remembers its best allowed draw; the last steps
(flips, other levels, swaps under a tight constraint, small steps on real axes) start from these memories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from searchplat.searchers.pr.acquisition import LogAcquisition
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.reparameterization import Parameters, around, draw, score_gradient

_LEARNING_RATE = 0.1  # of theta; the authors' 0.025 for 200 steps covers the same way in five times the time
_MOST_MOVES = 100  # steps of the final ascent; each strictly improves, so this is never reached but by a defect
_BROKEN = 30.0  # a factor of 1e-13: nothing, but where all draws of a restart break the rule its gradient stays finite
_POLISHED = 6  # memories that the final ascent starts from


@dataclass(frozen=True)
class Budget:
    """How hard to search.

    Args:
        restarts: Distributions side by side.
        samples: Draws a distribution and step; even, at least 4.
        steps: Adam steps.
    """

    restarts: int = 8
    samples: int = 32
    steps: int = 40


@dataclass(frozen=True)
class Found:
    """A point and its log value."""

    code_A: Tensor
    value: float


class Values:
    """The acquisition on codes; points that were tried or break the encoding's rule are worth nothing.

    Args:
        restrict: Maps codes into the region that may be searched; identity by default.
    """

    def __init__(
        self,
        encoding: Encoding,
        acquisition: LogAcquisition,
        tried_NA: Tensor,
        restrict: Callable[[Tensor, Tensor | None], Tensor] | None = None,
    ) -> None:
        self.encoding = encoding
        self._acquisition = acquisition
        self._tried = encoding.hashes(tried_NA)
        self._restrict = restrict

    def allowed(self, codes_MA: Tensor, priority_MA: Tensor | None = None) -> Tensor:
        """The canonical points within the region that the codes stand for."""
        if self._restrict is not None:
            codes_MA = self._restrict(codes_MA, priority_MA)
        return self.encoding.canonical(codes_MA, priority_MA)

    def tried(self, codes_MA: Tensor) -> Tensor:
        """Whether each point was tried, or may not be `[M]`."""
        return torch.isin(self.encoding.hashes(codes_MA), self._tried) | ~self.encoding.keeps(codes_MA)

    def raw(self, codes_MA: Tensor) -> Tensor:
        """Log values `[M]`, tried points as any other; differentiable in the real axes."""
        return self._acquisition(self.encoding.features(codes_MA))

    def both(self, codes_MA: Tensor) -> tuple[Tensor, Tensor]:
        """Log values as `raw`, and the same with -inf at tried points; points that occur again are computed once.

        Those that break the rule are `_BROKEN` lower, so that what the draws are moved to is the value of points that
        keep it, and -inf in the second.
        """
        hash_M = self.encoding.hashes(codes_MA)
        tried_M = torch.isin(hash_M, self._tried)
        if codes_MA.requires_grad:  # with real axes hardly two points are equal
            raw_M = self.raw(codes_MA)
        else:
            distinct, which_M = torch.unique(hash_M, return_inverse=True)
            places = torch.arange(len(hash_M))
            first = torch.zeros(len(distinct), dtype=torch.long).scatter_(0, which_M, places)
            raw_M = self.raw(codes_MA[first])[which_M]
        if self.encoding.rule is not None:
            broken_M = ~self.encoding.keeps(codes_MA)
            raw_M, tried_M = raw_M - _BROKEN * broken_M, tried_M | broken_M
        return raw_M, raw_M.detach().masked_fill(tried_M, -torch.inf)

    def __call__(self, codes_MA: Tensor) -> Tensor:
        """Log values `[M]`, -inf at tried points."""
        return self.both(codes_MA)[1]


def maximise(values: Values, starts_RA: Tensor, budget: Budget, generator: torch.Generator) -> Found | None:
    """The best untried point that PR and the final ascent find; None if all they met were tried.

    Args:
        starts_RA: Points that the distributions start around, e.g. incumbents; the rest of the restarts start at
            random points.
    """
    encoding = values.encoding
    with torch.no_grad():
        missing = max(0, budget.restarts - len(starts_RA))
        random_RA = values.allowed(encoding.random(missing, generator))
        starts_RA = torch.cat([starts_RA[: budget.restarts], random_RA])
    # Incumbents start half decided; random starts nearly undecided, so that the first draws cover the space.
    certainty = torch.full((len(starts_RA), 1), 0.2, dtype=torch.float64)
    certainty[: len(starts_RA) - missing] = 0.6
    memory = _Memory(starts_RA, values(starts_RA))
    if budget.steps and len(encoding.axes):
        _follow(values, _around_each(encoding, starts_RA, certainty), memory, budget, generator)
    top = memory.value_R.topk(min(_POLISHED, len(starts_RA))).indices
    finals = _ascend(values, memory.code_RA[top], memory.value_R[top], generator)
    best = max(finals, key=lambda found: found.value)
    return best if best.value > -torch.inf else None


class _Memory:
    """The best untried point that each restart has met."""

    def __init__(self, code_RA: Tensor, value_R: Tensor) -> None:
        self.code_RA, self.value_R = code_RA.clone(), value_R.clone()

    def note(self, codes_RSA: Tensor, values_RS: Tensor) -> None:
        value_R, index_R = values_RS.max(1)
        better_R = value_R > self.value_R
        chosen_RA = codes_RSA[torch.arange(len(index_R)), index_R]
        self.code_RA = torch.where(better_R[:, None], chosen_RA, self.code_RA)
        self.value_R = torch.where(better_R, value_R, self.value_R)


def _around_each(encoding: Encoding, codes_RA: Tensor, certainty_R1: Tensor) -> Parameters:
    theta = around(encoding, codes_RA, 1.0)
    theta.bits = 0.5 + certainty_R1 * (theta.bits - 0.5)
    theta.logits = theta.logits * certainty_R1[..., None]
    return theta


def _follow(values: Values, theta: Parameters, memory: _Memory, budget: Budget, generator: torch.Generator) -> None:
    """Adam on the log of the mean acquisition, all restarts side by side."""
    encoding = values.encoding
    blocks = theta.blocks()
    first = [torch.zeros_like(b) for b in blocks]
    second = [torch.zeros_like(b) for b in blocks]
    with_reals = bool(len(encoding.reals))
    # One learning rate suits all blocks but logits, whose useful range is wider.
    rates = [_LEARNING_RATE, 4 * _LEARNING_RATE, 3 * _LEARNING_RATE, 0.4 * _LEARNING_RATE]
    for step in range(1, budget.steps + 1):
        theta.reals = theta.reals.detach().requires_grad_(with_reals)
        with torch.set_grad_enabled(with_reals):
            drawn = draw(encoding, theta, budget.samples, generator)
            shape = drawn.codes.shape
            codes_MA = values.allowed(drawn.codes.reshape(-1, shape[2]), drawn.priority.reshape(-1, shape[2]))
            value_M, fresh_M = values.both(codes_MA)
        value_RS = value_M.reshape(shape[:2])
        memory.note(codes_MA.detach().reshape(shape), fresh_M.reshape(shape[:2]))
        # d log E[a] = d E[a] / E[a]: values relative to their mean also put all restarts on one scale.
        log_mean_R1 = torch.logsumexp(value_RS.detach(), 1, keepdim=True)
        relative_RS = (value_RS.detach() - log_mean_R1).exp() * budget.samples
        gradients = [score_gradient(relative_RS, score) for score in drawn.scores]
        if with_reals:
            (real_gradient,) = torch.autograd.grad(torch.logsumexp(value_RS, 1).sum(), theta.reals)
            gradients.append(real_gradient)
        else:
            gradients.append(theta.reals)
        theta.reals = theta.reals.detach()
        for block, gradient, m, v, rate in zip(theta.blocks(), gradients, first, second, rates, strict=True):
            m.mul_(0.8).add_(gradient, alpha=0.2)
            v.mul_(0.95).addcmul_(gradient, gradient, value=0.05)
            block += rate * (m / (1 - 0.8**step)) / ((v / (1 - 0.95**step)).sqrt() + 1e-6)
        theta.clamp(encoding)


@torch.no_grad()
def _ascend(values: Values, codes_RA: Tensor, value_R: Tensor, generator: torch.Generator) -> list[Found]:
    """Steepest ascent by single moves from each point until none improves; equal points are followed once."""
    encoding = values.encoding
    found: list[Found] = []
    seen: set[int] = set()
    active = [Found(c, float(v)) for c, v in zip(codes_RA, value_R, strict=True)]
    for move in range(_MOST_MOVES):
        if not active:
            break
        blocks = [moves(values, f.code_A, move, generator) for f in active]
        all_values = values(torch.cat(blocks))
        following: list[Found] = []
        for here, block, value_M in zip(active, blocks, torch.split(all_values, [len(b) for b in blocks]), strict=True):
            best = int(value_M.argmax()) if len(value_M) else -1
            # Below this gain on the log scale (0.01 % of the value) real axes would be refined for ever.
            if best < 0 or float(value_M[best]) <= here.value + 1e-4:
                found.append(here)
                continue
            identity = int(encoding.hashes(block[best][None])[0])
            if identity not in seen:
                seen.add(identity)
                following.append(Found(block[best], float(value_M[best])))
        active = following
    return found + active


def moves(values: Values, code_A: Tensor, move: int, generator: torch.Generator) -> Tensor:
    """Allowed points one step from a point; steps on real axes are random, and smaller the larger `move` is."""
    encoding = values.encoding
    moved = values.allowed(encoding.neighbours(code_A, swaps=True))
    reals = encoding.reals
    if not len(reals):
        return moved
    # Gaussian steps of three sizes on all real axes at once, and on one at a time.
    jitter = torch.randn((48, len(reals)), generator=generator, dtype=torch.float64)
    jitter[24:] *= torch.nn.functional.one_hot(torch.arange(24) % len(reals), len(reals))
    scale = torch.tensor([0.1, 0.03, 0.01], dtype=torch.float64)[torch.arange(48) % 3, None]
    nearby = code_A.repeat(48, 1)
    nearby[:, reals] = (nearby[:, reals] + jitter * scale / (1 + move / 10)).clamp(0, 1)
    return torch.cat([moved, values.allowed(nearby)])
