"""Random search: uniform over the space, no point twice. The yardstick of all other searchers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from searchplat.searchers.contract import History, Suggestion
from searchplat.searchers.options import RandomOptions
from searchplat.searchers.points import seed_of, tried, untried
from searchplat.spec.space import Space


class RandomSearcher:
    """Draws trial `number` from the seed and the number alone, unless that point was tried.

    Args:
        space: The stage's axes.
        seed: Seeds the draws.
        given: Values of parameters outside the space that conditions may look at.
    """

    def __init__(self, space: Space, seed: int, given: Mapping[str, Any]) -> None:
        self._space, self._seed, self._given = space, seed, given

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose a point; see `Searcher.suggest`."""
        rng = np.random.default_rng(seed_of(self._seed, "random", number))
        point = untried(self._space, rng, self._given, tried(self._space, history))
        return None if point is None else Suggestion(point, {"route": "random"})


def random_search(
    space: Space, maximize: tuple[bool, ...], seed: int, given: Mapping[str, Any], options: RandomOptions
) -> RandomSearcher:
    """Build the searcher `random`; it does not look at objectives."""
    return RandomSearcher(space, seed, given)
