"""Points of a space: their identity, their enumeration, their repair, and the seeds that draw them.

Every searcher proposes through these, so that none proposes a point twice. Next: `optuna_adapter`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.searchers.contract import History
from searchplat.spec.space import DRAWS, Bool, Categorical, Constraint, Domain, Float, Int, Layout, Space

Key = tuple[str, ...]
"""Identity of a point: the text of each axis's value in the space's order, empty where inactive."""

_RANDOM_TRIES = 64  # in a space that is mostly untried one try is enough; after these we enumerate
_SMALL = 10_000  # points of a space whose enumeration is quicker than thousands of draws
_MOST_WALKED = 200_000  # values on the way through a space with constraints, of which few may be left: a second


def seed_of(seed: int, *parts: int | str) -> int:
    """A 63-bit seed that depends on all arguments and nothing else, equal in every process."""
    text = ":".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def levels(domain: Domain) -> Sequence[Any] | None:
    """All values of an axis in order; None if it has no end or is a layout (see `layouts`)."""
    match domain:
        case Bool():
            return [False, True]
        case Categorical():
            return domain.choices
        case Int():
            return range(domain.low, domain.high + 1, domain.step)  # as many as there are, without a list of them
        case Float() if domain.low == domain.high:
            return [float(domain.low)]
        case Float() if domain.step is not None:
            return [domain.level(i) for i in range(int(domain.size()))]
    return None


def constant(domain: Domain) -> Any:
    """The value of an axis that has only one."""
    values = list(layouts(domain)) if isinstance(domain, Layout) else levels(domain)
    assert values is not None, domain
    (value,) = values
    return value


def snap(domain: Domain, value: Any) -> Any:
    """The value of the axis nearest to `value`, in the axis's own type; choices pass unchanged."""
    match domain:
        case Float():
            clipped = min(max(float(value), domain.low), domain.high)
            if domain.step is None:
                return float(clipped)
            index = min(round((clipped - domain.low) / domain.step), int(domain.size()) - 1)
            return domain.level(index)
        case Int():
            index = round((float(value) - domain.low) / domain.step)
            return int(domain.low + domain.step * min(max(index, 0), int(domain.size()) - 1))
        case Bool():
            return bool(value)
        case Layout():
            return domain.encode(repaired(domain, domain.decode(value)))
    return value


def repaired(layout: Layout, bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The nearest 0/1 vector that keeps the layout's `at_most`, itself if it does already.

    The bits to flip are spread over the layers by a hash of the vector: always the first ones would
    push every repaired layout into the same corner.
    """
    low, high = layout.count_range()
    ones = int(bits.sum())
    if low <= ones <= high:
        return bits
    surplus, value = (ones - high, 1) if ones > high else (low - ones, 0)
    candidates = np.flatnonzero(bits == value)
    rng = np.random.default_rng(seed_of(0, layout.encode(bits)))
    fixed = bits.copy()
    fixed[rng.permutation(candidates)[:surplus]] = 1 - value
    return fixed


def key(space: Space, values: Mapping[str, Any]) -> Key:
    """Identity of a point; numbers that an axis holds to be equal are equal here."""
    return tuple(
        repr(float(values[d.name]) if isinstance(d, Float) else values[d.name]) if d.name in values else ""
        for d in space.domains
    )


def tried(space: Space, history: History) -> set[Key]:
    """Identities of all points of the history, whatever became of them."""
    return {key(space, trial.values) for trial in history.trials}


def layouts(layout: Layout, rng: np.random.Generator | None = None) -> Iterator[str]:
    """Every allowed layout exactly once, lazily, by number of ones, in an order that `rng` shuffles."""
    low, high = layout.count_range()
    order = _order(layout.bits, rng)
    for ones in (low + i for i in _order(high - low + 1, rng)):
        for chosen in itertools.combinations(order, ones):
            bits = np.zeros(layout.bits, dtype=np.int8)
            bits[list(chosen)] = 1
            yield layout.encode(bits)


def _order(count: int, rng: np.random.Generator | None) -> list[int]:
    return list(range(count)) if rng is None else rng.permutation(count).tolist()


def enumerate_points(
    space: Space, given: Mapping[str, Any], rng: np.random.Generator | None = None, most: float = math.inf
) -> Iterator[Values]:
    """Every point of a finite space that keeps the constraints, exactly once, lazily; inactive axes are absent.

    Args:
        given: Values of parameters outside the space that conditions and constraints may look at.
        rng: Shuffles them.
        most: Values of axes that are looked at; then it ends.

    Raises:
        ValueError: If an axis is not finite.
    """
    outside = {name: value for name, value in given.items() if name not in space}
    decided = _decided(space)
    looked_at = 0

    def walk(position: int, point: Values) -> Iterator[Values]:
        nonlocal looked_at
        looked_at += 1
        if looked_at > most or not all(one.holds({**outside, **point}) for one in decided[position]):
            return
        if position == len(space.domains):
            yield dict(point)
            return
        domain = space.domains[position]
        if not space.active(domain, {**given, **point}):
            yield from walk(position + 1, point)
            return
        axis: Iterator[Any]
        if isinstance(domain, Layout):
            axis = layouts(domain, rng)
        else:
            values = levels(domain)
            if values is None:
                raise ValueError(f"{domain.name}: an axis without a step cannot be enumerated")
            axis = (values[i] for i in _order(len(values), rng))
        for value in axis:
            if looked_at > most:
                return
            yield from walk(position + 1, {**point, domain.name: value})

    return walk(0, {})


def _decided(space: Space) -> list[list[Constraint]]:
    """The constraints of which all is known after the first 0, 1, ... axes, and not before."""
    place = {name: position for position, name in enumerate(space.names, 1)}
    decided: list[list[Constraint]] = [[] for _ in range(len(place) + 1)]
    for constraint in space.constraints:
        decided[max(place.get(name, 0) for name in (*constraint.names, constraint.choice))].append(constraint)
    return decided


def untried(space: Space, rng: np.random.Generator, given: Mapping[str, Any], known: set[Key]) -> Values | None:
    """A random point whose key is not in `known`; None if the space is finite and has no such point.

    Random draws come first; only a space that is nearly used up is enumerated, and then at most
    `len(known) + 1` points of it, or with constraints as far as that takes a second or so.
    """
    endless = math.isinf(space.size())
    tries = _RANDOM_TRIES * (100 if endless else 1)
    if space.constraints and space.size() > _SMALL:
        tries = DRAWS
    for _ in range(tries):
        point = space.draw(rng, given)
        if key(space, point) not in known and not space.broken(point, given):
            return point
    if endless:  # thousands of draws from a continuum: its axes have next to no width, are inactive, or break a rule
        return None
    most = _MOST_WALKED if space.constraints else math.inf
    return next((one for one in enumerate_points(space, given, rng, most) if key(space, one) not in known), None)
