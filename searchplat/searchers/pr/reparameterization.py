"""Points as draws from a distribution whose parameters can be followed uphill.

Probabilistic reparameterization (Daulton et al. 2022, section 4; DARec section 2.3.3, algorithm 1): instead of the best
point z of an acquisition, find the parameters theta that maximise `E[acquisition(Z)]` with Z drawn from
p(z | theta). That mean is smooth in theta, and has the same best value.

- bits: Bernoulli with `P(Z = 1) = sigmoid((theta - 1/2) / tau)`, theta in [0, 1] (their eq. 6, tau = 0.1);
- categorical axes: softmax of logits;
- ordinal axes: `p(k)` proportional to `exp(-(k - theta)^2 / (2 s^2))`: theirs (floor plus Bernoulli of the fraction)
  has a kink at every level, and gives the second neighbour no chance;
- real axes: not drawn; their values follow the acquisition's own gradient.

The gradient is by scores: `E[(acquisition(Z) - b) d log p(Z) / d theta]`. Draws come in antithetic pairs, and the
baseline b of a draw is the mean over all *other* pairs, so it is independent of the draw and the estimate unbiased.
Shapes: `R` restarts, `S` draws, `A` axes. Next: `optimizer`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Encoding

TAU = 0.1
_SPREAD = 0.7  # s of ordinal axes, in levels: at a level's middle, its two neighbours get a quarter each


def bernoulli_probability(theta: Tensor, tau: float = TAU) -> Tensor:
    """P(bit = 1); strictly increasing in theta on the whole of [0, 1], 0.0067 and 0.9933 at its ends."""
    return torch.sigmoid((theta - 0.5) / tau)


@dataclass
class Parameters:
    """theta of all restarts: a block a kind of axis, in the encoding's order of them.

    Args:
        bits: `[R, bits]` in [0, 1].
        logits: `[R, categorical axes, most levels]`; -inf beyond an axis's levels.
        centres: `[R, ordinal axes]` in [0, levels - 1].
        reals: `[R, real axes]` in [0, 1].
    """

    bits: Tensor
    logits: Tensor
    centres: Tensor
    reals: Tensor

    def blocks(self) -> list[Tensor]:
        """The four tensors."""
        return [self.bits, self.logits, self.centres, self.reals]

    def clamp(self, encoding: Encoding) -> None:
        """Bring every parameter back into its range, in place."""
        self.bits.clamp_(0, 1)
        self.logits.clamp_(min=-5, max=5)
        self.centres.clamp_(min=torch.zeros(()), max=encoding.levels[encoding.ordinals] - 1)
        self.reals.clamp_(0, 1)


@dataclass(frozen=True)
class Draws:
    """`S` points of each restart, and the scores of the distributions at them.

    Args:
        codes: `[R, S, A]`; rows 2i and 2i + 1 are an antithetic pair. Not yet canonical.
        priority: `[R, S, A]` uniform, independent of theta and of the codes: which bits a constraint flips first.
        scores: d log p / d theta, a tensor `[R, S, ...]` a block of `Parameters` (none for reals).
    """

    codes: Tensor
    priority: Tensor
    scores: tuple[Tensor, Tensor, Tensor]


def around(encoding: Encoding, codes_RA: Tensor, certainty: float) -> Parameters:
    """Parameters whose most likely point is `codes_RA`.

    Args:
        certainty: In [0, 1): 0 is the even distribution, towards 1 a bit's theta nears 0 or 1.
    """
    levels = encoding.levels[encoding.categoricals]
    most = int(levels.max()) if len(levels) else 0
    chosen = codes_RA[:, encoding.categoricals]
    logits = 3.0 * certainty * (chosen[..., None] == torch.arange(most)).to(codes_RA.dtype)
    return Parameters(
        0.5 + certainty * (codes_RA[:, encoding.bits] - 0.5),
        logits,
        codes_RA[:, encoding.ordinals].clone(),
        codes_RA[:, encoding.reals].clone(),
    )


def draw(encoding: Encoding, theta: Parameters, samples: int, generator: torch.Generator) -> Draws:
    """Draw `samples` (even) points a restart.

    Differs from the authors' code: a fresh draw a step, so that no fixed set of base samples is overfitted.
    """
    restarts = len(theta.bits)
    pairs = samples // 2
    half = torch.rand((restarts, pairs, encoding.width), generator=generator, dtype=torch.float64)
    uniform = torch.stack([half, 1 - half], dim=2).reshape(restarts, samples, encoding.width)
    rank = torch.rand((restarts, pairs, encoding.width), generator=generator, dtype=torch.float64)
    priority = torch.stack([rank, 1 - rank], dim=2).reshape(restarts, samples, encoding.width)
    codes = torch.zeros_like(uniform)

    p = bernoulli_probability(theta.bits)[:, None]
    bits = (uniform[..., encoding.bits] < p).to(codes.dtype)
    codes[..., encoding.bits] = bits
    bit_scores = (bits - p) / TAU

    q = categorical_probabilities(encoding, theta.logits)[:, None]
    chosen = _inverse(q, uniform[..., encoding.categoricals])
    codes[..., encoding.categoricals] = chosen.to(codes.dtype)
    logit_scores = (chosen[..., None] == torch.arange(q.shape[-1])).to(codes.dtype) - q

    o, level = ordinal_probabilities(encoding, theta.centres)
    chosen = _inverse(o[:, None], uniform[..., encoding.ordinals])
    codes[..., encoding.ordinals] = chosen.to(codes.dtype)
    expected = (o * level).sum(-1)[:, None]
    centre_scores = (chosen.to(codes.dtype) - expected) / _SPREAD**2

    codes[..., encoding.reals] = theta.reals[:, None].expand(-1, samples, -1)
    return Draws(codes, priority, (bit_scores, logit_scores, centre_scores))


def categorical_probabilities(encoding: Encoding, logits: Tensor) -> Tensor:
    """Probabilities `[R, categorical axes, most levels]`, 0 beyond an axis's levels."""
    absent = torch.arange(logits.shape[-1]) >= encoding.levels[encoding.categoricals, None]
    return torch.softmax(logits.masked_fill(absent, -torch.inf), -1) if logits.numel() else logits


def ordinal_probabilities(encoding: Encoding, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities `[R, ordinal axes, most levels]`, 0 beyond an axis's levels, and the levels 0, 1, ..."""
    levels = encoding.levels[encoding.ordinals]
    level = torch.arange(int(levels.max()) if len(levels) else 0, dtype=centres.dtype)
    weight = -0.5 * ((level - centres[..., None]) / _SPREAD) ** 2
    weight = weight.masked_fill(level >= levels[:, None], -torch.inf)
    return (torch.softmax(weight, -1) if weight.numel() else weight), level


def score_gradient(values_RS: Tensor, scores: Tensor) -> Tensor:
    """Unbiased estimate of d E[value] / d theta from antithetic pairs of draws.

    Args:
        values_RS: Values at the draws; rows 2i and 2i + 1 a pair. At least two pairs.
        scores: `[R, S, ...]`.
    """
    samples = values_RS.shape[1]
    pair_RP = values_RS.reshape(len(values_RS), -1, 2).sum(2)
    others_RP = (pair_RP.sum(1, keepdim=True) - pair_RP) / (samples - 2)
    centred_RS = values_RS - others_RP.repeat_interleave(2, dim=1)
    return torch.einsum("rs,rs...->r...", centred_RS, scores) / samples


def _inverse(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Level whose cumulative probability first exceeds `uniform`."""
    if not probabilities.numel():
        return torch.zeros_like(uniform)
    return (uniform[..., None] >= probabilities.cumsum(-1)[..., :-1]).sum(-1)
