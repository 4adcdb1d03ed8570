"""The way from a point that breaks a constraint to one near it that keeps them all.

For searchers that know nothing of constraints, such as Optuna's samplers: what they propose is kept as far as may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.searchers.points import Key, key, snap, untried
from searchplat.spec.space import Domain, Float, Int, Layout, Space

_STARTS = 4  # random points from which one walks towards the wish


def nearest(
    space: Space, wish: Mapping[str, Any], rng: np.random.Generator, given: Mapping[str, Any], known: set[Key]
) -> Values | None:
    """An untried point that keeps the constraints and is near `wish`; None if no untried one was found at all.

    From a random point that keeps them one axis after the other takes the wish's value, or half the way to it, where
    the constraints allow it. Of several such walks the one that ends nearest counts.

    Args:
        space: Axes and constraints.
        wish: Values of the axes; those that are not active may be missing.
        given: Values of parameters outside the space.
        known: Points that were tried.
    """
    found: list[Values] = []
    for _ in range(_STARTS):
        start = untried(space, rng, given, known)
        if start is None:
            break
        found.append(_walked(space, start, wish, rng, given, known))
    return min(found, key=lambda point: _distance(space, point, wish), default=None)


def _walked(
    space: Space,
    start: Values,
    wish: Mapping[str, Any],
    rng: np.random.Generator,
    given: Mapping[str, Any],
    known: set[Key],
) -> Values:
    drawn = {domain.name: domain.sample(rng) for domain in space.domains}
    here = {**drawn, **wish, **start}  # values of the inactive axes too: they may become active on the way
    point = start
    for index in rng.permutation(len(space.domains)):
        domain = space.domains[index]
        if domain.name not in wish:
            continue
        for value in _steps(domain, here[domain.name], wish[domain.name], rng):
            there = {**here, domain.name: value(here[domain.name])}
            moved = _active(space, there, given)
            if key(space, moved) not in known and not space.broken(moved, given):
                here, point = there, moved
                if here[domain.name] == wish[domain.name]:
                    break
    return point


def _steps(domain: Domain, here: Any, wish: Any, rng: np.random.Generator) -> Iterator[Any]:
    """Functions from an axis's value to one nearer to the wish: first the wish itself."""
    if type(here) is type(wish) and here == wish:
        return
    yield lambda _: wish
    if isinstance(domain, Layout):
        differing = np.flatnonzero(domain.decode(here) != domain.decode(wish))
        for bit in rng.permutation(differing):
            yield lambda text, bit=bit: _flipped(domain, text, int(bit))
    elif isinstance(domain, Float | Int):
        for share in (0.5, 0.25):
            yield lambda value, share=share: snap(domain, value + share * (wish - value))


def _flipped(layout: Layout, text: str, bit: int) -> str:
    bits = layout.decode(text)
    bits[bit] = 1 - bits[bit]
    flipped = layout.encode(bits)
    return text if layout.refusal(flipped) else flipped


def _active(space: Space, values: Mapping[str, Any], given: Mapping[str, Any]) -> Values:
    """The values of the axes that are active."""
    point: Values = {}
    for domain in space.domains:
        if space.active(domain, {**given, **point}):
            point[domain.name] = values[domain.name]
    return point


def _distance(space: Space, point: Mapping[str, Any], wish: Mapping[str, Any]) -> float:
    """Sum over the axes, each at most 1."""
    return sum(_apart(space[name], point[name], wish[name]) if name in wish else 1.0 for name in point)


def _apart(domain: Domain, one: Any, other: Any) -> float:
    if isinstance(domain, Layout):
        return float(np.mean(domain.decode(one) != domain.decode(other)))
    if isinstance(domain, Float | Int):
        return float(abs(one - other) / (domain.high - domain.low or 1))
    return float(type(one) is not type(other) or one != other)
