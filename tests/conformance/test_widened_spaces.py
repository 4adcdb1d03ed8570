"""What every searcher must keep when a search goes on in a wider space: old trials are points of the new one to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchplat.contract import Values
from searchplat.searchers import SEARCHERS, History, PastTrial, Searcher, TrialState, make_searcher
from searchplat.searchers.gain import expected_gain
from searchplat.searchers.points import key
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Categorical, Float, Int, Layout, Space

NARROW = Space(
    (
        Float("rate", 1e-3, 1e-2, log=True),
        Int("width", 8, 16, step=4),
        Categorical("kind", ("plain", "gated")),
        Categorical("size", (16, 32), ordered=True),
        Layout("layout", 2, ("causal", "context"), ("serial", "parallel"), at_most={"parallel": 2}),
    )
)
WIDE = Space(
    (
        Bool("norm"),  # new to the trials, which had none
        Float("rate", 1e-4, 1e-1, log=True),
        Int("width", 4, 32, step=2),
        Categorical("kind", ("soft", "plain", "gated")),
        Categorical("size", (8, 16, 32, 64), ordered=True),
        Layout("layout", 2, ("causal", "context"), ("serial", "parallel"), at_most={"parallel": 3}),
    )
)
OPTIONS: dict[str, dict[str, Any]] = {
    "grid": {"points": 2},
    "tpe": {"startup": 4},
    "gp": {"startup": 4},
    "cmaes": {"population": 4},
    "nsga2": {"population": 4},
    "pr": {"startup": 4, "restarts": 2, "samples": 8, "steps": 5},
}
"""`cmaes` knows no axis of three choices that have no order."""
OLD, NEW = 10, 8


def spaces(name: str) -> tuple[Space, Space]:
    if name != "cmaes":
        return NARROW, WIDE
    return tuple(Space(tuple(axis for axis in one.domains if axis.name != "kind")) for one in (NARROW, WIDE))  # type: ignore[return-value]


def build(name: str, space: Space) -> Searcher:
    return make_searcher(SearcherSpec(name, OPTIONS.get(name, {})), space, (True,), 7)


def score(values: Values) -> float:
    """Best beyond the ends of the old space."""
    return float(np.log10(values["rate"])) + values["width"] / 16 + values["layout"].count("1") / 4


def go_on(name: str, space: Space, past: list[PastTrial], more: int) -> list[PastTrial]:
    """Whoever goes on knows nothing but the ledger's trials."""
    searcher = build(name, space)
    for number in range(len(past), len(past) + more):
        suggestion = searcher.suggest(History(tuple(past), 2 * number), number)
        assert suggestion is not None
        values, at = suggestion.values, 2 * number
        past = [
            *past,
            PastTrial(number, values, TrialState.FINISHED, (score(values),), 1.0, at + 1, at, at + 2),
        ]
    return past


def widened(name: str) -> list[PastTrial]:
    """The trials of a search in the old space, as points of the new one."""
    narrow, _ = spaces(name)
    return [
        PastTrial(t.number, {**t.values, "norm": False}, t.state, t.objectives, t.seconds, t.suggested_at, t.based_on,
                  t.ended_at)
        for t in go_on(name, narrow, [], OLD)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "gp" else []) for name in SEARCHERS]
)
def test_a_searcher_goes_on_in_the_wider_space(name: str) -> None:
    narrow, wide = spaces(name)
    before = widened(name)
    after = go_on(name, wide, before, NEW)

    new = [trial.values for trial in after[OLD:]]
    assert after[:OLD] == before
    assert not any(wide.refusals(trial.values) for trial in after)
    assert len({key(wide, trial.values) for trial in after}) == OLD + NEW, "a point was tried again"
    beyond = [values for values in new if narrow.refusals({n: v for n, v in values.items() if n != "norm"})]
    assert beyond, "nothing of the wider space was tried"
    # Killed and taken up again in the middle, it goes on as if it had not been.
    half = go_on(name, wide, before, NEW // 2)
    assert [trial.values for trial in go_on(name, wide, half, NEW - NEW // 2)] == [trial.values for trial in after]


@pytest.mark.parametrize("name", ["tpe", "pr", pytest.param("gp", marks=pytest.mark.slow)])
def test_what_was_learned_in_the_old_space_counts_in_the_new_one(name: str) -> None:
    """Its best are at an end of the old space: whoever sees its trials looks beyond that end at once."""
    _, wide = spaces(name)
    after = go_on(name, wide, widened(name), NEW)

    best = max(score(trial.values) for trial in after[:OLD])
    assert sum(score(trial.values) > best for trial in after[OLD:]) >= NEW // 4


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_the_expected_gain_of_a_widened_space_is_greater(name: str) -> None:
    narrow, wide = spaces(name)
    searcher = SearcherSpec(name, OPTIONS.get(name, {}))
    old = History(tuple(go_on(name, narrow, [], OLD)), 99)

    before = expected_gain(narrow, True, old, 5, 3, {}, searcher)
    after = expected_gain(wide, True, History(tuple(widened(name)), 99), 5, 3, {}, searcher)

    assert before is not None
    assert after is not None
    assert after > before
