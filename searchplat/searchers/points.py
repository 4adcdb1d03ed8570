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
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int, Layout, Space

Key = tuple[str, ...]
"""Identity of a point: the text of each axis's value in the space's order, empty where inactive."""

_RANDOM_TRIES = 64  # in a space that is mostly untried one try is enough; after these we enumerate


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
    space: Space, given: Mapping[str, Any], rng: np.random.Generator | None = None
) -> Iterator[Values]:
    """Every point of a finite space exactly once, lazily, shuffled by `rng`; inactive axes are absent.

    Raises:
        ValueError: If an axis is not finite.
    """

    def walk(position: int, point: Values) -> Iterator[Values]:
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
            yield from walk(position + 1, {**point, domain.name: value})

    return walk(0, {})


def untried(space: Space, rng: np.random.Generator, given: Mapping[str, Any], known: set[Key]) -> Values | None:
    """A random point whose key is not in `known`; None if the space is finite and has no such point.

    Random draws come first; only a space that is nearly used up is enumerated, and then at most
    `len(known) + 1` points of it.
    """
    endless = math.isinf(space.size())
    for _ in range(_RANDOM_TRIES * (100 if endless else 1)):
        point = space.sample(rng, given)
        if key(space, point) not in known:
            return point
    if endless:  # thousands of equal draws from a continuum: its axes have next to no width, or are inactive
        return None
    return next((point for point in enumerate_points(space, given, rng) if key(space, point) not in known), None)
