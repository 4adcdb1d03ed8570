"""Bounds on outcomes, whatever the searcher: it takes any history of them, is repeatable, and finds what keeps them."""

from __future__ import annotations

import copy
import json
import math
import pickle

import pytest

from searchplat.searchers import SEARCHERS, History, PastTrial, Searcher, TrialState, make_searcher
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Categorical, Float, Int, Space

SPACE = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0), Int("k", 1, 8), Categorical("kind", ("a", "b", "c"))))
OPTIONS = {
    "grid": {"points": 3},
    "tpe": {"startup": 5},
    "gp": {"startup": 5},
    "cmaes": {"population": 5},
    "nsga2": {"population": 6},
    "pr": {"startup": 5, "restarts": 2, "samples": 8, "steps": 5},
}
BLIND = {"random", "grid"}
"""They look at no trial."""
SLOW = {"gp", "pr"}
CASES = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SEARCHERS]


def build(name: str, seed: int = 1, maximize: tuple[bool, ...] = (True,)) -> Searcher:
    return make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), SPACE, maximize, seed, {})


def ended(values: dict[str, object], number: int, objectives: int = 1, bounded: bool = True) -> PastTrial:
    """Better where larger in everything; at most so large in `x` and `k`, which a twentieth of the space keeps."""
    x, y, k = (float(values[name]) for name in ("x", "y", "k"))  # type: ignore[arg-type]
    excess = ((x + k / 8 - 0.45) / 0.45, math.inf if number % 7 == 3 else -0.1) if bounded else ()
    gains = (x + y + k / 8, -y)[:objectives]
    return PastTrial(
        number, values, TrialState.FINISHED, gains, 1.0, 2 * number + 1, 2 * number, 2 * number + 2, excess
    )


def search(name: str, trials: int, *, seed: int = 1, objectives: int = 1, bounded: bool = True) -> list[History]:
    searcher = build(name, seed, (True,) * objectives)
    past: list[PastTrial] = []
    histories = []
    for number in range(trials):
        histories.append(History(tuple(past), 2 * number))
        suggestion = searcher.suggest(histories[-1], number)
        assert suggestion is not None
        past.append(ended(json.loads(json.dumps(suggestion.values)), number, objectives, bounded))
    return [*histories, History(tuple(past), 2 * trials)]


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_resuming_equals_no_interruption_and_so_do_copies(name: str, objectives: int) -> None:
    if name == "cmaes" and objectives > 1:
        return
    trials = 14
    *histories, last = search(name, trials, objectives=objectives)
    for number in (1, 4, 9, trials - 1):
        fresh = build(name, maximize=(True,) * objectives)
        again = fresh.suggest(histories[number], number)
        assert again is not None
        assert again.values == last.trials[number].values
        for other in (pickle.loads(pickle.dumps(fresh)), copy.deepcopy(fresh)):
            assert other.suggest(histories[number], number).values == again.values


@pytest.mark.parametrize("excess", [(2.0,), (math.inf,), (1e300,), (-1e300,), (0.0,), (-1.0,), (0.5, -0.5)])
@pytest.mark.parametrize("name", SEARCHERS)
def test_whatever_was_measured_is_no_obstacle(name: str, excess: tuple[float, ...]) -> None:
    histories = search("random", 9, bounded=False)
    past = tuple(
        PastTrial(t.number, t.values, t.state, t.objectives, 1.0, t.suggested_at, t.based_on, t.ended_at, excess)
        for t in histories[-1].trials
    )
    suggestion = build(name).suggest(History(past, 100), 50)
    assert suggestion is not None
    assert SPACE.refusals(suggestion.values, {}) == []
    json.dumps(suggestion.info, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SEARCHERS if name not in BLIND])
def test_more_trials_keep_the_bounds_than_without_being_told_and_better_ones_are_found(name: str) -> None:
    def kept(histories: list[History]) -> list[PastTrial]:
        whole = [ended(dict(t.values), 0) for t in histories[-1].trials[10:]]
        return [t for t in whole if not t.violation]

    told = untold = 0
    gained = 0.0
    seeds = 1 if name in SLOW else 3
    for seed in range(1, seeds + 1):
        found = kept(search(name, 36, seed=seed))
        told, untold = told + len(found), untold + len(kept(search(name, 36, seed=seed, bounded=False)))
        at_random = kept(search("random", 36, seed=seed))
        gained += max((t.objectives or (0.0,))[0] for t in found) - max(
            ((t.objectives or (0.0,))[0] for t in at_random), default=0.0
        )
    assert told > 2 * untold
    assert told >= 4 * seeds
    assert gained > 0
