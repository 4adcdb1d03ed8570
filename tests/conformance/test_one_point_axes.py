"""Axes of one value through every searcher: they are constants, and what is left is searched as without them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchplat.contract import Values
from searchplat.searchers import SEARCHERS, History, PastTrial, Searcher, TrialState, make_searcher
from searchplat.searchers.importance import importance
from searchplat.searchers.studies import _params
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Categorical, Condition, Domain, Float, Int, Layout, Space

OPTIONS: dict[str, dict[str, Any]] = {
    "grid": {"points": 3},
    "tpe": {"startup": 2},
    "gp": {"startup": 10},  # its fits take a second each, and Optuna is not told of constants
    "cmaes": {"population": 4},
    "nsga2": {"population": 4},
    "pr": {"startup": 2, "restarts": 2, "samples": 4, "steps": 2},
}
ONE_POINT: dict[str, tuple[Domain, Any]] = {
    "float": (Float("one", 0.3, 0.3), 0.3),
    "float at 0": (Float("one", 0.0, 0.0), 0.0),
    "float, log": (Float("one", 1e-300, 1e-300, log=True), 1e-300),
    "float, step": (Float("one", -0.1, -0.1, step=0.1), -0.1),
    "float, a step beyond the range": (Float("one", 0.1, 0.1 + 1e-12, step=0.1), 0.1),
    "int": (Int("one", 3, 3), 3),
    "int, negative": (Int("one", -7, -7), -7),
    "int, log": (Int("one", 1, 1, log=True), 1),
    "int, step": (Int("one", 5, 5, step=4), 5),
    "int of 60 bits": (Int("one", 2**60 + 1, 2**60 + 1), 2**60 + 1),
    "a choice": (Categorical("one", ("a",)), "a"),
    "a choice, ordered": (Categorical("one", (16,), ordered=True), 16),
    "the choice null": (Categorical("one", (None,)), None),
    "the choice true": (Categorical("one", (True,)), True),
    "a layout without ones": (Layout("one", 2, ("a", "b"), ("s", "p"), at_most={"p": 0}), "00-00"),
    "a layout without zeros": (Layout("one", 2, ("a", "b"), ("s", "p"), at_most={"s": 0}), "11-11"),
    "a layout without either's freedom": (Layout("one", 1, ("a",), ("s", "p"), at_most={"s": 0, "p": 1}), "1"),
}
SPACES: dict[str, tuple[tuple[Domain, ...], int]] = {
    "alone": ((), 1),
    "with a choice": ((Categorical("width", (8, 16)),), 2),
    "with a switch": ((Bool("norm"),), 2),
    "with a condition": ((Bool("norm"), Int("n", 1, 2, when=(Condition("norm", (True,)),))), 3),
}


def search(searcher: Searcher, most: int) -> list[Values]:
    """Suggestions until there is none, at most `most`."""
    past: list[PastTrial] = []
    for number in range(most):
        suggestion = searcher.suggest(History(tuple(past), 2 * number), number)
        if suggestion is None:
            break
        json.dumps(suggestion.info, allow_nan=False)
        values = json.loads(json.dumps(suggestion.values))
        seq = 2 * number
        past.append(PastTrial(number, values, TrialState.FINISHED, (float(number % 2),), 1.0, seq + 1, seq, seq + 2))
    return [dict(trial.values) for trial in past]


@pytest.mark.parametrize("with_it", SPACES)
@pytest.mark.parametrize("axis", ONE_POINT)
def test_a_constant_beside_other_axes_is_searched_to_the_end(axis: str, with_it: str) -> None:
    (domain, value), (others, points) = ONE_POINT[axis], SPACES[with_it]
    assert domain.size() == 1
    for space in (Space((domain, *others)), Space((*others, domain))):
        assert space.size() in (points, 4)  # conditions are ignored
        for name in SEARCHERS:
            found = search(make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), space, (True,), 0), 6)
            assert len(found) == len({json.dumps(v, sort_keys=True) for v in found}) == points, name
            assert all(type(v["one"]) is type(value) and v["one"] == value for v in found), name


CHOICES = st.sampled_from(["a", 1, None])
AXES = st.one_of(
    st.builds(lambda low, log: Float("", low, low, log), st.floats(1e-12, 1e12), st.booleans()),
    st.builds(lambda low, log: Int("", low, low, log), st.integers(1, 2**40), st.booleans()),
    st.builds(lambda low, step: Int("", low, low, step=step), st.integers(-9, 9), st.integers(1, 9)),
    st.builds(lambda choice, ordered: Categorical("", (choice,), ordered), CHOICES, st.booleans()),
    st.builds(lambda which: Layout("", 2, ("a", "b"), ("s", "p"), {which: 0}), st.sampled_from("sp")),
    st.builds(lambda high: Float("", 0.0, high), st.floats(0.0, 1.0)),
    st.builds(lambda high: Int("", 0, high), st.integers(0, 3)),
    st.just(Bool("")),
)
"""Mostly axes of one value, among a few that may vary."""


@settings(max_examples=12, deadline=None)
@given(st.lists(AXES, min_size=1, max_size=5))
@pytest.mark.parametrize("name", SEARCHERS)
def test_any_mixture_gives_points_of_the_space(name: str, axes: list[Domain]) -> None:
    space = Space(tuple(replace(axis, name=f"axis{i}") for i, axis in enumerate(axes)))
    options = OPTIONS.get(name, {})

    found = search(make_searcher(SearcherSpec(name, options), space, (True,), 0), 5)

    gridded = math.prod(min(3, d.size()) if isinstance(d, Float) else d.size() for d in space.domains)
    assert len(found) == min(5, gridded if name == "grid" else space.size())
    assert all(space.refusals(values) == [] for values in found)
    assert len({json.dumps(values, sort_keys=True) for values in found}) == len(found)


@pytest.mark.parametrize("axis", ONE_POINT)
def test_a_constant_is_told_to_optuna_and_explains_nothing(axis: str) -> None:
    domain, value = ONE_POINT[axis]
    for name, told, distribution in _params(domain, value):
        optuna.create_trial(params={name: told}, distributions={name: distribution}, value=1.0)

    points = [{"one": value, "x": i / 10} for i in range(10)]
    shares = importance(Space((domain, Float("x", 0.0, 1.0))), points, [p["x"] for p in points], True)

    assert shares["x"] == pytest.approx(1.0)
