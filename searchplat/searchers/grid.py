"""Grid search: every combination once, in an order that the seed shuffles, then None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.errors import InputError
from searchplat.searchers.contract import History, Suggestion
from searchplat.searchers.options import GridOptions
from searchplat.searchers.points import Key, enumerate_points, key, seed_of, snap, tried
from searchplat.spec.scale import at_share
from searchplat.spec.space import Categorical, Domain, Float, Int, Space

MOST = 100_000
"""Points of a grid: ten times the trials of a large search; a list of these takes a second."""


class GridSearcher:
    """Walks the grid in one fixed order and proposes its first untried point.

    Args:
        space: The stage's axes. A float axis without a step and a whole-number axis on a log scale get
            `options.points` values, ends included.
        seed: Shuffles the order.
        given: Values of parameters outside the space that conditions may look at.
        options: See `GridOptions`.

    Raises:
        InputError: If the grid has more than 100,000 points.
    """

    def __init__(self, space: Space, seed: int, given: Mapping[str, Any], options: GridOptions) -> None:
        self._space, self._seed, self._given, self._options = space, seed, given, options
        self._gridded = gridded(space, options.points)
        if self._gridded.size() > MOST:
            raise InputError(
                f"searcher grid: a grid may have at most {MOST:,} points, got {self._gridded.size():,.9g}; "
                "narrow the axes or take another searcher, such as random"
            )
        self._order: list[tuple[Key, Values]] | None = None

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose the next point of the grid; see `Searcher.suggest`."""
        known = tried(self._space, history)
        for position, (identity, point) in enumerate(self._points()):
            if identity not in known:
                return Suggestion(dict(point), {"route": "grid", "position": position, "points": len(self._points())})
        return None

    def _points(self) -> list[tuple[Key, Values]]:
        if self._order is None:
            walk = enumerate_points(self._gridded, self._given)
            unique = {key(self._space, point): point for point in (self._back(p) for p in walk)}
            points = list(unique.items())
            if self._options.shuffle:
                order = np.random.default_rng(seed_of(self._seed, "grid")).permutation(len(points))
                points = [points[i] for i in order]
            self._order = points
        return self._order

    def _back(self, point: Values) -> Values:
        return {name: snap(self._space[name], value) for name, value in point.items()}


def gridded(space: Space, points: int) -> Space:
    """The space that the grid of a space enumerates; see `GridSearcher`."""
    return Space(tuple(_gridded(domain, min(points, MOST + 1)) for domain in space.domains), space.constraints)


def _gridded(domain: Domain, points: int) -> Domain:
    """A finite axis with the grid's values: a float axis becomes an ordered choice of numbers."""
    if math.isfinite(domain.size()) and not (isinstance(domain, Int) and domain.log):
        return domain
    assert isinstance(domain, Float | Int)
    if points == 1:
        values = [(domain.low * domain.high) ** 0.5 if domain.log else (domain.low + domain.high) / 2]
    elif domain.log:
        values = np.geomspace(domain.low, domain.high, points).tolist()
    elif math.isfinite(domain.high - domain.low):
        values = np.linspace(domain.low, domain.high, points).tolist()
    else:  # a width beyond the largest float
        values = [at_share(i / (points - 1), domain.low, domain.high) for i in range(points)]
    return Categorical(
        domain.name, tuple(dict.fromkeys(snap(domain, v) for v in values)), ordered=True, when=domain.when
    )


def grid(
    space: Space, maximize: tuple[bool, ...], seed: int, given: Mapping[str, Any], options: GridOptions
) -> GridSearcher:
    """Build the searcher `grid`; it does not look at objectives."""
    return GridSearcher(space, seed, given, options)
