"""Every searcher keeps the constraints of any space, whatever its trials came to."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from searchplat.searchers import SEARCHERS, History, PastTrial, TrialState, make_searcher
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import (
    Bool,
    Categorical,
    Condition,
    Constraint,
    Domain,
    Float,
    Int,
    Layout,
    Space,
)

OPTIONS = {
    "grid": {"points": 3},
    "tpe": {"startup": 2},
    "gp": {"startup": 2},
    "cmaes": {"population": 4},
    "nsga2": {"population": 3},
    "pr": {"startup": 2, "restarts": 2, "samples": 4, "steps": 2},
}
GIVEN = {"limit": 3}

NUMBERS = ("a", "b", "x", "y", "limit")
NAMED = st.sampled_from(NUMBERS)
WHOLE = st.sampled_from(["a", "b", "limit"])
ATOMS = st.one_of(
    st.builds("{} {} {}".format, NAMED, st.sampled_from(["<", "<=", ">", "!="]), NAMED),
    st.builds("{} * {} <= {}".format, NAMED, NAMED, st.integers(1, 6)),
    st.builds("{} % {} == 0".format, WHOLE, WHOLE),
    st.builds("kind {} 'one'".format, st.sampled_from(["==", "!="])),
    st.builds("count(layout, '1') <= {}".format, st.integers(0, 3)),
    st.sampled_from(["flag", "abs(x - y) < 0.5", "kind in ['one', 'two']", "max(a, b) < 4", "1 < a + b < 6"]),
)
RULES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=3,
)
WHEN = (Condition("flag", (True,)),)
DOMAINS: list[Domain] = [
    Bool("flag"),
    Int("a", 1, 5),
    Int("b", 1, 4, when=WHEN),
    Float("x", 0.0, 2.0),
    Float("y", 0.5, 1.5, step=0.25, when=WHEN),
    Categorical("kind", ("one", "two")),
    Layout("layout", 2, ("r", "s"), ("no", "yes"), at_most={"yes": 3}),
]


def space_of(others: list[bool], rules: list[str]) -> Space:
    chosen = (domain for domain, kept in zip(DOMAINS, [True, *others], strict=True) if kept)
    return Space(tuple(chosen), tuple(map(Constraint, rules)))


SPACES = st.builds(
    space_of,
    st.lists(st.booleans(), min_size=len(DOMAINS) - 1, max_size=len(DOMAINS) - 1),
    st.lists(RULES, min_size=1, max_size=3, unique=True),
)


def trials_of(name: str, space: Space, trials: int, seed: int) -> list[dict[str, object]]:
    """The points of a small search, of whose trials some fail and two run at once."""
    searcher = make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), space, (True,), seed, GIVEN)
    rng, past = random.Random(seed), list[PastTrial]()
    for number in range(trials):
        suggestion = searcher.suggest(History(tuple(past), number), number)
        if suggestion is None:
            break
        values = json.loads(json.dumps(suggestion.values))
        ended = rng.random() < 0.8
        state = TrialState.FINISHED if ended else rng.choice([TrialState.RUNNING, TrialState.FAILED])
        objectives = (rng.random(),) if ended else None
        ended_at = number + 1 if state.final else None
        past.append(PastTrial(number, values, state, objectives, 1.0, number + 1, number, ended_at))
    return [dict(trial.values) for trial in past]


@pytest.mark.parametrize("name", SEARCHERS)
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(space=SPACES, seed=st.integers(0, 10))
@example(space=Space((Int("a", 1, 5), Int("b", 1, 4)), (Constraint("a == b"), Constraint("a < limit"))), seed=0)
def test_every_searcher_keeps_every_constraint(name: str, space: Space, seed: int) -> None:
    rng = np.random.default_rng(0)
    assume(sum(not space.broken(space.draw(rng, GIVEN), GIVEN) for _ in range(100)) >= 5)

    points = trials_of(name, space, 5, seed)

    assert points or name == "grid"
    for point in points:
        assert space.refusals(point, GIVEN) == []
    texts = [json.dumps(point, sort_keys=True) for point in points]
    assert len(set(texts)) == len(texts)
