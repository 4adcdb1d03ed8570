"""First trials where a user believes that good values are: the belief's best point, then points drawn from it.

Searchers that take `prior:` of axes begin this way, with as many trials as they would otherwise draw at random or
spread over the space (as piBO draws its initial design, Hvarfner et al. 2022). What follows is the searcher's own: see
`pr.belief`; Optuna's samplers only have the model of these trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from searchplat.searchers.contract import History, Suggestion
from searchplat.searchers.points import Key, key, levels, seed_of, snap
from searchplat.spec.scale import at_share
from searchplat.spec.space import Domain, Float, Int, Layout, Space

_TRIES = 200  # draws of a point that was not tried and keeps the constraints


def believed(space: Space) -> bool:
    """Whether any axis has a belief."""
    return any(domain.prior is not None for domain in space.domains)


def first_by_belief(
    space: Space,
    history: History,
    number: int,
    count: int,
    startup: int,
    known: set[Key],
    seed: int,
    given: Mapping[str, Any],
) -> list[Suggestion]:
    """Up to `count` points of the first `startup` trials; none where there is no belief, or no new point is found.

    Args:
        number: The next trial's; with the seed it decides the draws.
        known: Points that were tried.
    """
    found: list[Suggestion] = []
    if not believed(space):
        return found
    taken = set(known)
    for place in range(len(history.trials), min(startup, len(history.trials) + count)):
        rng = np.random.default_rng(seed_of(seed, "belief", number + len(found)))
        for attempt in range(_TRIES):
            values = {d.name: _value(d, rng, best=place == 0 and attempt == 0) for d in space.domains if d.prior}
            point = space.draw(rng, given, values)
            if key(space, point) not in taken and not space.broken(point, given):
                taken.add(key(space, point))
                found.append(Suggestion(point, {"route": "belief"}))
                break
    return found


def _value(domain: Domain, rng: np.random.Generator, best: bool) -> Any:
    """A value drawn by the belief, or the best."""
    prior = domain.prior
    assert prior is not None
    if isinstance(domain, Float | Int):
        centre, deviation = prior.shares(domain.low, domain.high, domain.log)
        share = centre if best else _truncated(rng, centre, deviation)
        return snap(domain, at_share(share, domain.low, domain.high, domain.log))
    if isinstance(domain, Layout):
        return snap(domain, domain.encode(np.array([_choice(rng, prior.weights, best) for _ in range(domain.bits)])))
    values = levels(domain)
    assert values is not None
    return values[_choice(rng, prior.weights, best)]


def _choice(rng: np.random.Generator, weights: Sequence[float], best: bool) -> int:
    if best:  # of equal weights any
        return int(rng.choice(np.flatnonzero(np.array(weights) == max(weights))))
    return int(rng.choice(len(weights), p=np.array(weights) / sum(weights)))


def _truncated(rng: np.random.Generator, centre: float, deviation: float) -> float:
    """A normal draw within [0, 1]; of one so wide that it hardly ever lies there, a uniform one, which it then is."""
    for _ in range(_TRIES):
        share = float(rng.normal(centre, deviation))
        if 0 <= share <= 1:
            return share
    return float(rng.random())
