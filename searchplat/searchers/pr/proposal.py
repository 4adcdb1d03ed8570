"""One suggestion from what is known: the route from a history in codes to a point in codes.

The order of routes: `design` while little is known, `pr` when the surrogate could be fitted, `prior` (the same with the
priors' medians as hyperparameters) when the fit failed, `random` when all else did. The route taken is logged and told.
Next: `searcher` and `sampler`, the two faces of this.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from searchplat.searchers.options import PROptions
from searchplat.searchers.points import seed_of
from searchplat.searchers.pr import telling
from searchplat.searchers.pr.acquisition import Averaged, LogAcquisition, NoisyEI, Success, UpperBound
from searchplat.searchers.pr.batch import drawn
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models import bounds
from searchplat.searchers.pr.models.cost import per_second
from searchplat.searchers.pr.models.prior_mean import PriorMean
from searchplat.searchers.pr.models.subset import Subset, subset
from searchplat.searchers.pr.models.surrogate import FitError, Model, fit, unfitted
from searchplat.searchers.pr.models.thompson import PosteriorDraw
from searchplat.searchers.pr.optimizer import Budget, Found, Values, maximise
from searchplat.searchers.pr.trust_region import TrustRegion

_log = logging.getLogger(__name__)

_CLIP = 4.0  # robust standard deviations below the median beyond which a bad value says nothing more
_INCUMBENTS = 4  # observed points, best by posterior mean, that restarts begin at


@dataclass(frozen=True)
class Known:
    """A history in codes. `N` scored, `Q` pending, `F` failed points; `J` objectives.

    Args:
        scored_NA: Points with values, in the order of their trials.
        values_NJ: Their objectives, larger is better.
        pending_QA: Points under evaluation.
        failed_FA: Points whose trials ended without a value.
        seconds_N: What the scored points' trials took, NaN where that says nothing; only `cost_aware` looks at it.
        known_at_N: Numbers by whose order the scored points' values became known; by default the rows' order.
        failed_at_F: Of the failed points, in the same count; given if the other is.
        excess_NB: By how much the scored points exceed each bound on outcomes; None where there are no bounds.
        used_UA: Further points that were tried, of which nothing is told but that.
    """

    scored_NA: Tensor
    values_NJ: Tensor
    pending_QA: Tensor
    failed_FA: Tensor
    seconds_N: Tensor | None = None
    known_at_N: Tensor | None = None
    failed_at_F: Tensor | None = None
    excess_NB: Tensor | None = None
    used_UA: Tensor | None = None

    @property
    def tried(self) -> Tensor:
        """All points."""
        used = [] if self.used_UA is None else [self.used_UA]
        return torch.cat([self.scored_NA, self.pending_QA, self.failed_FA, *used])


@dataclass(frozen=True)
class Proposal:
    """A point in codes, and what to say about it."""

    code_A: Tensor
    info: dict[str, Any]


def startup_of(encoding: Encoding, options: PROptions) -> int:
    """Number of scored trials before the surrogate is used."""
    return options.startup if options.startup is not None else max(4, min(10, encoding.width // 4))


def propose(
    encoding: Encoding,
    known: Known,
    seed: int,
    number: int,
    options: PROptions,
    accept: Callable[[Tensor], bool] = lambda _: True,
) -> Proposal | None:
    """Propose a point that was not tried.

    Args:
        seed: With `number` it determines every draw.
        number: The trial's number.
        accept: Says no to a point that the caller knows to be used up although its code is new (rounding).

    Returns:
        A proposal; None if every route led to tried points, as in a space that is nearly used up.
    """
    return next(iter(propose_many(encoding, known, seed, number, 1, options, accept)), None)


def propose_many(
    encoding: Encoding,
    known: Known,
    seed: int,
    number: int,
    count: int,
    options: PROptions,
    accept: Callable[[Tensor], bool] = lambda _: True,
    sources_J: Sequence[Sequence[PriorMean]] = (),
    factors: Sequence[LogAcquisition] = (),
) -> list[Proposal]:
    """Propose up to `count` distinct points from one fit: the first as `propose` would, the others by `batch.drawn`.

    Args:
        number: The first one's number.
        sources_J: What other searches say of points, for each objective; empty for nothing.
        factors: Further log factors of a point's worth.
    """
    began = time.perf_counter()
    with one_thread():
        own = seed_of(seed, "pr", number)
        if len(known.scored_NA) < startup_of(encoding, options):
            proposals = _design(encoding, known, seed, count, accept)
        else:
            bounded = _bounded(options, number)
            proposals = _by_model(encoding, known, own, options, accept, bounded, count, sources_J, factors)
        if not proposals:
            proposals = _at_random(encoding, known, own, accept)
    for proposal in proposals:
        proposal.info["seconds"] = round((time.perf_counter() - began) / len(proposals), 4)
    return proposals


def clipped(values_N: Tensor, settled: Tensor | None = None) -> Tensor:
    """Values of which the very bad are no worse than a few robust standard deviations below the median.

    Args:
        settled: Rows whose median and spread these are; by default all.
    """
    some = values_N if settled is None else values_N[settled]
    middle = some.median()
    spread = 1.4826 * (some - middle).abs().median()
    return values_N.clamp(min=float(middle - _CLIP * spread)) if float(spread) > 0 else values_N


def standardised(values_N: Tensor) -> Tensor:
    """Values with mean 0 and standard deviation 1, very bad ones clipped: a collapse must not flatten the rest."""
    return _unit(clipped(values_N))


def _unit(values_N: Tensor) -> Tensor:
    deviation = values_N.std(correction=0)
    return (values_N - values_N.mean()) / (deviation if float(deviation) > 1e-12 else 1.0)


def _design(
    encoding: Encoding, known: Known, seed: int, count: int, accept: Callable[[Tensor], bool]
) -> list[Proposal]:
    """The first untried points of a space-filling set that the whole search shares."""
    start = len(known.tried)
    tried = encoding.hashes(known.tried)
    found: list[Proposal] = []
    for code_A in encoding.design(start + 15 + count, seed_of(seed, "design"))[start:]:
        if len(found) < count and not bool(torch.isin(encoding.hashes(code_A[None]), tried)) and accept(code_A):
            found.append(Proposal(code_A, {"route": "design"}))
            tried = torch.cat([tried, encoding.hashes(code_A[None])])
    return found


def _at_random(encoding: Encoding, known: Known, seed: int, accept: Callable[[Tensor], bool]) -> list[Proposal]:
    generator = torch.Generator().manual_seed(seed)
    tried = encoding.hashes(known.tried)
    for code_A in encoding.random(64, generator):
        if not bool(torch.isin(encoding.hashes(code_A[None]), tried)) and accept(code_A):
            return [Proposal(code_A, {"route": "random"})]
    return []


def _by_model(
    encoding: Encoding,
    known: Known,
    seed: int,
    options: PROptions,
    accept: Callable[[Tensor], bool],
    bounded: bool,
    count: int,
    sources_J: Sequence[Sequence[PriorMean]],
    further: Sequence[LogAcquisition],
) -> list[Proposal]:
    generator = torch.Generator().manual_seed(seed)
    features_ND = encoding.features(known.scored_NA)
    route = "pr"
    models_J: list[list[Model]] = []
    family = family_of(encoding, options)
    values_NJ = known.values_NJ
    if (excess_NB := known.excess_NB) is not None:
        values_NJ = torch.stack([bounds.behind(values_N, excess_NB) for values_N in values_NJ.T], dim=1)
    chosen = subset(values_NJ, known.known_at_N)  # one for all objectives: what is best is so by all of them
    for values_N, sources in zip(known.values_NJ.T, sources_J or repeat(()), strict=False):
        steady_N = clipped(values_N, chosen.settled)
        models, fitted = models_of(encoding, features_ND, _unit(steady_N), family, chosen, steady_N, sources)
        route = route if fitted else "prior"
        models_J.append(models)
    fit_done = time.perf_counter()
    factors = [*success(encoding, known, features_ND), *_cost(encoding, known, features_ND, options), *further]
    # A repeat tells the model more, but it is no other place to start from, and no step of a trust region.
    first_P = incumbents_P = distinct(known.scored_NA)
    mean_N = sum((models[0].mean(features_ND) for models in models_J), torch.zeros(len(features_ND)))
    if excess_NB is not None:
        factors += bounds.factors(encoding, features_ND, excess_NB, family, known.known_at_N)
        mean_N = bounds.behind(mean_N, excess_NB)
        incumbents_P = first_P[bounds.feasible(excess_NB)[first_P]]
    acquisition: LogAcquisition = Averaged([_equal], [1.0], factors)
    if len(incumbents_P):
        observed = features_ND[incumbents_P]
        acquisition = _acquisition(known, encoding, observed, models_J, factors, seed, options, generator)
    order = first_P[mean_N[first_P].argsort(descending=True)]
    # Whatever begins at an observed point begins at a whole one: no step leads out of NaN.
    scored_NA = encoding.completed(known.scored_NA, generator)
    region = None
    if bounded:
        region = TrustRegion.from_values(encoding, scored_NA[first_P], mean_N[first_P], values_NJ[first_P])
    tried_NA = known.tried
    found: Found | None = None
    for _ in range(3):  # more than once only where rounding makes new codes of old points
        values = Values(encoding, acquisition, tried_NA, region)
        budget = Budget(options.restarts, options.samples, options.steps)
        found = maximise(values, scored_NA[order[:_INCUMBENTS]], budget, generator)
        if found is None and region is not None and encoding.rule is not None:
            region = None  # no point so near keeps the rule
            continue
        if found is None or accept(found.code_A):
            break
        tried_NA = torch.cat([tried_NA, found.code_A[None]])
        found = None
    if found is None:
        return []
    info: dict[str, Any] = {
        "route": route,
        "acquisition": telling.acquisition(options, len(models_J), len(incumbents_P)),
        "log_value": round(found.value, 6),
        "noise": [round(models[0].noise, 6) for models in models_J],
        "kernels": telling.kernels(models_J[0]),
        "optimise_seconds": round(time.perf_counter() - fit_done, 4),
    }
    if any(sources_J):
        info["past"] = telling.past(models_J)
    if region is not None:
        info["radius"] = region.radius
    proposals = [Proposal(found.code_A, info)]
    if count > 1:
        values = Values(encoding, acquisition, torch.cat([tried_NA, found.code_A[None]]))
        promising = torch.cat([scored_NA[order[:_INCUMBENTS]], found.code_A[None]])
        for code_A in drawn(encoding, values, models_J, promising, count - 1, factors, accept, generator):
            proposals.append(Proposal(code_A, {"route": "batch"}))
    return proposals


def _equal(features_MD: Tensor) -> Tensor:
    """No point is worth more than another: what counts are the factors."""
    return 0.0 * features_MD.sum(1)


def distinct(codes_NA: Tensor) -> Tensor:
    """Rows `[P]` of the first observation of every point."""
    seen: dict[bytes, int] = {}
    for row, code in enumerate(codes_NA.numpy()):
        seen.setdefault(code.tobytes(), row)
    return torch.tensor(list(seen.values()), dtype=torch.int64)


def _bounded(options: PROptions, number: int) -> bool:
    """Whether this trial stays near the best.

    By turns by default: the region finds the top of a hill sooner, the whole space finds other hills.
    """
    return options.trust_region == "always" or (options.trust_region == "alternate" and number % 2 == 0)


def family_of(encoding: Encoding, options: PROptions) -> str:
    """The kernel family in `FAMILIES`: that of the options, as far as the space has pairs and layers."""
    layered = sum(axis.layer is not None for axis in encoding.axes) > 1
    name = "full" if options.surrogate == "auto" else options.surrogate
    if name in ("layers", "full") and not layered:
        name = "pairs"
    return "general" if encoding.width < 2 else name


def models_of(
    encoding: Encoding,
    features_ND: Tensor,
    target_N: Tensor,
    family: str,
    chosen: Subset | None = None,
    steady_N: Tensor | None = None,
    sources: Sequence[PriorMean] = (),
) -> tuple[list[Model], bool]:
    """Models as `surrogate.fit`'s, and whether they were fitted; without a fit, one with the priors' medians."""
    chosen = subset(target_N[:, None]) if chosen is None else chosen
    try:
        return fit(encoding, features_ND, target_N, family, chosen, steady_N, sources), True
    except FitError as error:
        _log.warning("pr: %s; using the priors' medians for this suggestion", error)
        return [unfitted(encoding, features_ND[chosen.known], target_N[chosen.known])], False


def _acquisition(
    known: Known,
    encoding: Encoding,
    features_ND: Tensor,
    models_J: Sequence[list[Model]],
    factors: Sequence[LogAcquisition],
    seed: int,
    options: PROptions,
    generator: torch.Generator,
) -> LogAcquisition:
    pending_QD = encoding.features(known.pending_QA)
    if len(models_J) > 1:
        from searchplat.searchers.pr.pareto import HypervolumeImprovement  # loads botorch, seconds

        return Averaged(
            [HypervolumeImprovement([models[0] for models in models_J], features_ND, pending_QD)], [1.0], factors
        )
    models = models_J[0]
    parts: list[LogAcquisition]
    if options.acquisition == "thompson":
        shares = torch.tensor([m.weight for m in models])
        drawn = models[int(torch.multinomial(shares, 1, generator=generator))]
        return Averaged([PosteriorDraw(drawn, generator)], [1.0], factors)
    if options.acquisition == "ucb":
        parts = [UpperBound(m, features_ND, pending_QD, options.beta) for m in models]
    else:
        parts = [NoisyEI(m, features_ND, pending_QD, seed) for m in models]
    return Averaged(parts, [m.weight for m in models], factors)


def success(encoding: Encoding, known: Known, features_ND: Tensor) -> list[LogAcquisition]:
    """The factor for failures, if there were any."""
    if not len(known.failed_FA):
        return []
    labels = torch.cat([torch.ones(len(known.scored_NA)), -torch.ones(len(known.failed_FA))]).to(torch.float64)
    both = torch.cat([features_ND, encoding.features(known.failed_FA)])
    # One success counts in advance: a few first failures must not condemn the whole space.
    mean = float((labels.sum() + 1) / (len(labels) + 1))
    at = None
    if known.known_at_N is not None and known.failed_at_F is not None:
        at = torch.cat([known.known_at_N, known.failed_at_F])
    # Of many, first of all the failures: a search that keeps away from them has hardly any among its newest.
    chosen = subset(-labels[:, None], at)
    models, _ = models_of(encoding, both, labels - mean, "general", chosen, labels)
    return [Success(models[0], mean)]


def _cost(encoding: Encoding, known: Known, features_ND: Tensor, options: PROptions) -> list[LogAcquisition]:
    """The factor for trials' seconds, if it is wanted and anything is known of them."""
    if not options.cost_aware or known.seconds_N is None:
        return []
    try:
        factor = per_second(encoding, features_ND, known.seconds_N, known.known_at_N)
    except FitError as error:
        _log.warning("pr: the seconds of trials: %s; this suggestion leaves them out", error)
        return []
    return [] if factor is None else [factor]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread: matrices this small gain nothing from more, and sums then have one order in every process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # Entering a device costs microseconds an operation, a third of a suggestion: only where it is needed.
        with nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"):
            yield
    finally:
        torch.set_num_threads(before)
