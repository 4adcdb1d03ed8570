"""What every searcher must keep, on spaces of every kind. A newcomer is checked by its line in `SEARCHERS`."""

from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from searchplat.contract import Values
from searchplat.searchers import (
    SEARCHERS,
    BatchSearcher,
    History,
    PastTrial,
    Searcher,
    Suggestion,
    TrialState,
    make_searcher,
)
from searchplat.spec.building.searcher import GENERATIONS
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Categorical, Condition, Constraint, Float, Int, Layout, Space

GIVEN = {"backbone": "small"}

SPACES = {
    "mixed": Space(
        (
            Float("lr", 1e-5, 1e-1, log=True),
            Float("dropout", 0.0, 0.5),
            Float("weight", 0.0, 1.0, step=0.25),
            Int("width", 8, 512, log=True),
            Int("heads", 2, 9, step=3),
            Categorical("schedule", ("linear", "cosine", None)),
            Categorical("size", (16, 32, 64), ordered=True),
            Bool("norm"),
        )
    ),
    "conditional": Space(
        (
            Categorical("tuned", ("none", "last", "all")),
            Float("rate", 0.0, 1.0, when=(Condition("tuned", ("last", "all")),)),
            Int("depth", 1, 4, when=(Condition("tuned", ("last",)),)),
            Bool("wide", when=(Condition("backbone", ("large",)),)),
            Bool("deep", when=(Condition("backbone", ("small",)),)),
        )
    ),
    "layout": Space((Layout("layout", 4, ("causal", "context", "recommend"), ("serial", "parallel")),)),
    "constrained": Space(
        (
            Layout("layout", 3, ("causal", "context"), ("serial", "parallel"), at_most={"parallel": 2, "serial": 5}),
            Bool("norm"),
        )
    ),
    "ruled": Space(
        (
            Int("width", 4, 32, step=4),
            Int("heads", 1, 8),
            Float("low", 0.0, 1.0),
            Float("high", 0.0, 1.0),
            Layout("layout", 2, ("causal", "context"), ("serial", "parallel")),
            Categorical("kind", ("plain", "gated")),
            Int("depth", 1, 4, when=(Condition("kind", ("gated",)),)),
        ),
        tuple(
            map(
                Constraint,
                (
                    "width % heads == 0",
                    "low < high",
                    "count(layout, '1') <= 2",
                    "not (kind == 'gated' and depth > 2 and width > 16)",
                    "backbone != 'small' or width + heads < 30",
                ),
            )
        ),
    ),
}
TINY = Space((Categorical("a", ("x", "y")), Int("b", 0, 3, when=(Condition("a", ("y",)),))))
OPTIONS: dict[str, dict[str, Any]] = {
    # Small populations and startups, so that a dozen trials reach the interesting code.
    "grid": {"points": 2},
    "tpe": {"startup": 4},
    "gp": {"startup": 4},
    "cmaes": {"population": 4},
    "nsga2": {"population": 4},
    "pr": {"startup": 4, "restarts": 2, "samples": 8, "steps": 5},
}
TRIALS = 12
ELSEWHERE = 7
"""Trials in another process: the startup's, and some that a model suggested."""
COSTLY = {("gp", "ruled")}
"""Under constraints `gp` may fit eight times for a suggestion."""
CASES = [
    pytest.param(name, space, marks=[pytest.mark.slow] if (name, space) in COSTLY else [])
    for name in SEARCHERS
    for space in SPACES
]
SEVERAL = [name for name in SEARCHERS if name != "cmaes"]


def build(name: str, space: Space, seed: int = 7, maximize: tuple[bool, ...] = (True,)) -> Searcher:
    return make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), space, maximize, seed, GIVEN)


def score(values: Values, index: int = 0) -> float:
    """A number in [0, 1) that depends on the point alone."""
    return zlib.crc32(f"{index}{sorted(values.items())}".encode()) / 2**32


def state_of(number: int) -> TrialState:
    """Every kind of end, in turn; most trials finish."""
    ends = {3: TrialState.STOPPED, 5: TrialState.DIVERGED, 6: TrialState.FAILED, 8: TrialState.INFEASIBLE}
    return ends.get(number % 12, TrialState.FINISHED)


def search(
    suggest: Callable[[History, int], Suggestion | None], trials: int, at_once: int, objectives: int = 1
) -> tuple[list[History], list[Suggestion | None]]:
    """Run a search with `at_once` open trials; return the history before every suggestion, and the suggestions."""
    past: list[PastTrial] = []
    histories, suggestions, seq = [], [], 0
    for number in range(trials):
        history = History(tuple(past), seq)
        suggestion = suggest(history, number)
        histories.append(history)
        suggestions.append(suggestion)
        if suggestion is None:
            break
        seq += 1
        values = json.loads(json.dumps(suggestion.values))  # as the ledger gives them back
        past.append(PastTrial(number, values, TrialState.RUNNING, suggested_at=seq, based_on=history.seq))
        running = [t for t in past if not t.state.final]
        if len(running) == at_once:  # the newest ends first: an order unlike that of the numbers
            seq += 1
            ended = running[-1] if number % 2 else running[0]
            state = state_of(ended.number)
            values_of = tuple(score(dict(ended.values), i) for i in range(objectives)) if state.scored else None
            past[ended.number] = replace(ended, state=state, objectives=values_of, seconds=1.0, ended_at=seq)
    return histories, suggestions


@cache
def searched(name: str, space: str, at_once: int = 3) -> tuple[list[History], list[Suggestion | None]]:
    return search(build(name, SPACES[space]).suggest, TRIALS, at_once)


@pytest.mark.parametrize(("name", "space"), CASES)
def test_suggestions_are_points_of_the_space_and_json(name: str, space: str) -> None:
    _, suggestions = searched(name, space)

    for suggestion in suggestions:
        assert suggestion is not None
        assert SPACES[space].refusals(suggestion.values, GIVEN) == []
        assert json.loads(json.dumps(suggestion.values)) == suggestion.values
        json.dumps(suggestion.info, allow_nan=False)


@pytest.mark.parametrize(("name", "space"), CASES)
def test_no_point_is_suggested_twice(name: str, space: str) -> None:
    _, suggestions = searched(name, space)

    texts = [json.dumps(s.values, sort_keys=True) for s in suggestions if s is not None]
    assert len(set(texts)) == TRIALS


@pytest.mark.parametrize(("name", "space"), CASES)
def test_resuming_at_any_step_equals_no_interruption(name: str, space: str) -> None:
    histories, suggestions = searched(name, space)

    # Models take a second a step.
    for number in (0, 3, 5, 8, TRIALS - 1) if name in ("gp", "pr") else range(TRIALS):
        again = build(name, SPACES[space]).suggest(histories[number], number)
        assert again is not None
        assert again.values == suggestions[number].values, f"trial {number}"  # type: ignore[union-attr]


@pytest.mark.parametrize("space", ["layout", "conditional"])
@pytest.mark.parametrize("name", [name for name in SEARCHERS if name not in GENERATIONS])
def test_repeats_of_a_point_are_no_obstacle_and_resuming_equals_no_interruption(name: str, space: str) -> None:
    searcher, past = build(name, SPACES[space]), list[PastTrial]()
    for number in range(12):
        history = History(tuple(past), 2 * number)
        if number % 3 == 2:
            values = max(past, key=lambda t: t.objectives or ()).values
        else:
            suggestion = searcher.suggest(history, number)
            again = build(name, SPACES[space]).suggest(history, number)
            assert suggestion is not None
            assert again is not None
            assert suggestion.values == again.values
            values = suggestion.values
            assert values not in [t.values for t in past]
        value = score(dict(values), 0) + 0.1 * math.sin(number)
        past.append(
            PastTrial(number, values, TrialState.FINISHED, (value,), 1.0, 2 * number + 1, 2 * number, 2 * number + 2)
        )


@pytest.mark.parametrize("space", SPACES)
def test_a_batch_is_one_suggestion_and_others_that_are_new(space: str) -> None:
    checked = []
    for name in SEARCHERS:
        searcher = build(name, SPACES[space])
        if not isinstance(searcher, BatchSearcher):
            continue
        histories, suggestions = searched(name, space)
        for number in (0, TRIALS - 1):
            batch = searcher.suggest_many(histories[number], number, 5)
            texts = [json.dumps(s.values, sort_keys=True) for s in batch]
            old = {json.dumps(dict(t.values), sort_keys=True) for t in histories[number].trials}
            assert len(set(texts) - old) == 5
            assert all(SPACES[space].refusals(s.values, GIVEN) == [] for s in batch)
            assert batch[0].values == suggestions[number].values  # type: ignore[union-attr]
        checked.append(name)
    assert "pr" in checked


@pytest.mark.parametrize("name", SEARCHERS)
def test_the_same_question_twice_has_the_same_answer(name: str) -> None:
    histories, suggestions = searched(name, "mixed")
    searcher = build(name, SPACES["mixed"])

    for number in (6, 6, 9, 7, 11, 11):  # also back in time: the cache must notice
        answer = searcher.suggest(histories[number], number)
        assert answer is not None
        assert answer.values == suggestions[number].values  # type: ignore[union-attr]


@pytest.mark.parametrize("name", SEARCHERS)
def test_another_seed_gives_other_points(name: str) -> None:
    one, two = ([s.values for s in search(build(name, SPACES["mixed"], seed).suggest, 3, 1)[1] if s] for seed in (1, 2))

    assert one != two


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_searcher_is_pickled_and_copied_with_all_that_it_knows(name: str) -> None:
    histories, suggestions = searched(name, "conditional")
    searcher = build(name, SPACES["conditional"])
    searcher.suggest(histories[4], 4)

    for other in (pickle.loads(pickle.dumps(searcher)), copy.deepcopy(searcher)):
        answer = other.suggest(histories[5], 5)
        assert answer is not None
        assert answer.values == suggestions[5].values  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def from_another_process() -> dict[str, Any]:
    """The first suggestions of all searchers on all spaces, made by a fresh interpreter with another hash seed."""
    out = subprocess.run([sys.executable, "-W", "ignore", __file__], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", SEARCHERS)
def test_the_same_seed_gives_the_same_points_in_another_process(
    name: str, from_another_process: dict[str, Any]
) -> None:
    for space in SPACES:
        if (name, space) in COSTLY:
            continue
        _, suggestions = searched(name, space)
        assert from_another_process[f"{name}/{space}"] == [s and s.values for s in suggestions[:ELSEWHERE]]


@pytest.mark.parametrize("name", SEARCHERS)
def test_all_trials_failed_or_open_is_no_obstacle(name: str) -> None:
    space = SPACES["mixed"]
    points = [s.values for s in searched("random", "mixed")[1] if s is not None]
    ended = (TrialState.DIVERGED, TrialState.TIMEOUT, TrialState.STOPPED)  # the last by hand, before its first report
    for state in (*ended, TrialState.RUNNING, TrialState.WAITING):
        past = tuple(PastTrial(i, p, state, suggested_at=i + 1, based_on=i) for i, p in enumerate(points))
        suggestion = build(name, space).suggest(History(past, 100), 50)
        assert suggestion is not None
        assert space.refusals(suggestion.values, GIVEN) == []


@pytest.mark.parametrize("name", SEARCHERS)
def test_equal_scores_everywhere_are_no_obstacle(name: str) -> None:
    points = [s.values for s in searched("random", "mixed")[1] if s is not None]
    past = tuple(PastTrial(i, p, TrialState.FINISHED, (0.5,)) for i, p in enumerate(points))

    suggestion = build(name, SPACES["mixed"]).suggest(History(past, 0), 50)

    assert suggestion is not None


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_finite_space_is_exhausted_and_then_none(name: str) -> None:
    _, suggestions = search(build(name, TINY).suggest, 20, at_once=2)

    assert suggestions[-1] is None
    points = [json.dumps(s.values, sort_keys=True) for s in suggestions if s is not None]
    assert len(points) == len(set(points)) == 1 + 4  # x alone; y with b = 0..3


@pytest.mark.parametrize("name", SEARCHERS)
def test_what_constraints_leave_of_a_finite_space_is_exhausted_and_then_none(name: str) -> None:
    space = Space(
        (Int("a", 1, 4), Int("b", 1, 4), Bool("c")), (Constraint("a % b == 0"), Constraint("not c and b > 1"))
    )

    _, suggestions = search(build(name, space).suggest, 20, at_once=2)

    points = {json.dumps(s.values, sort_keys=True) for s in suggestions if s is not None}
    kept = [(a, b) for a in range(1, 5) for b in range(2, 5) if a % b == 0]
    assert suggestions[-1] is None
    assert len(points) == len(suggestions) - 1 == len(kept)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_objectives(name: str) -> None:
    searcher = make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), SPACES["mixed"], (True, False), 3, GIVEN)

    histories, suggestions = search(searcher.suggest, 8, at_once=2, objectives=2)

    for suggestion in suggestions:
        assert suggestion is not None
        assert SPACES["mixed"].refusals(suggestion.values, GIVEN) == []
    fresh = make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), SPACES["mixed"], (True, False), 3, GIVEN)
    assert fresh.suggest(histories[-1], 7).values == suggestions[-1].values  # type: ignore[union-attr]


if __name__ == "__main__":
    cases = [(n, s) for n in SEARCHERS for s in SPACES if (n, s) not in COSTLY]
    print(
        json.dumps(
            {
                f"{n}/{s}": [x and x.values for x in search(build(n, SPACES[s]).suggest, ELSEWHERE, 3)[1]]
                for n, s in cases
            }
        )
    )
