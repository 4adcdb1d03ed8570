from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from searchplat.searchers import History, PastTrial, SourceTask, TrialState, make_searcher
from searchplat.searchers.points import key
from searchplat.searchers.transfer import FIRST, SourceTrial, promising, ranks, varied, within
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Categorical, Condition, Constraint, Float, Int, Space

SPACE = Space(
    (
        Float("rate", 1e-4, 1e-1, log=True),
        Int("width", 8, 64, step=8),
        Categorical("kind", ("a", "b", None)),
        Float("slope", 0.0, 1.0, when=(Condition("kind", ("b",)),)),
    )
)


def task(*trials: tuple[Mapping[str, Any], float]) -> SourceTask:
    return SourceTask("other", "search", tuple(SourceTrial(n, v, (y,)) for n, (v, y) in enumerate(trials)))


def test_of_a_past_trial_the_values_on_the_axes_are_kept_and_a_trial_off_an_axis_is_left_out() -> None:
    inside = within(
        task(
            ({"rate": 0.01, "width": 16.0, "kind": "a", "momentum": 0.9}, 0.1),  # one parameter more
            ({"rate": 0.01, "width": 128, "kind": "a"}, 0.9),  # off the axis
            ({"rate": 1e-2, "kind": None}, 0.3),  # one parameter less
            ({"momentum": 0.9}, 0.3),
            ({"rate": 0.01, "kind": True}, 0.3),  # of another type
        ),
        SPACE,
    )
    assert [trial.values for trial in inside.trials] == [
        {"rate": 0.01, "width": 16, "kind": "a"},
        {"rate": 0.01, "kind": None},
    ]
    assert type(inside.trials[0].values["width"]) is int
    assert varied(inside, SPACE) == {"width", "kind"}


def test_values_count_by_their_rank_within_the_task() -> None:
    one = task(*(({"rate": 0.01}, y) for y in (5.0, -1e9, 5.0, 7.0)))
    assert ranks(one, (True,)).tolist() == [0.5, 0.0, 0.5, 1.0]
    assert ranks(one, (False,)).tolist() == [0.5, 1.0, 0.5, 0.0]
    both = SourceTask("o", "s", tuple(SourceTrial(n, {}, (float(n), float(n))) for n in range(3)))
    assert ranks(both, (True, False)).tolist() == [0.5, 0.5, 0.5]


def test_the_first_points_are_good_ones_that_differ_and_keep_the_constraints() -> None:
    space = Space(SPACE.domains, (Constraint("width <= 48"),))
    best: dict[str, Any] = {"rate": 0.01, "width": 64, "kind": "a"}
    near: list[tuple[dict[str, Any], float]] = [
        ({"rate": 0.001, "width": 32, "kind": "a"}, 0.9),
        ({"rate": 0.00101, "width": 32, "kind": "a"}, 0.89),
    ]
    far: list[tuple[dict[str, Any], float]] = [
        ({"rate": 0.1, "width": 8, "kind": "b", "slope": 0.5}, 0.88),
        ({"rate": 1e-4, "width": 48, "kind": None}, 0.8),
    ]
    poor: list[tuple[dict[str, Any], float]] = [
        ({"rate": 0.05, "width": 8 * n, "kind": "a"}, -float(n)) for n in range(1, 7)
    ]
    found = promising([task((best, 1.0), *near, *far, *poor)], space, (True,), 3, np.random.default_rng(0), {})
    assert best not in found  # its width breaks the constraint
    assert far[0][0] in found
    assert len(found) == 2


def test_of_several_pasts_each_has_its_turn_and_what_a_trial_does_not_say_is_drawn() -> None:
    one = task(({"rate": 0.01}, 1.0), ({"rate": 0.02}, 0.9))
    other = task(({"width": 16, "kind": "b"}, 1000.0), ({"width": 32, "kind": "b"}, 900.0))
    found = promising([one, other], SPACE, (True,), 2, np.random.default_rng(0), {})
    assert found[0]["rate"] == 0.01
    assert {"width", "kind"} <= found[0].keys()
    assert (found[1]["width"], found[1]["kind"]) == (16, "b")
    assert "slope" in found[1]


def test_a_searcher_with_a_past_tries_its_best_points_first_and_never_twice() -> None:
    rng = np.random.default_rng(0)
    points = [SPACE.sample(rng) for _ in range(12)]
    past = task(*((point, float(n)) for n, point in enumerate(points)))
    searcher = make_searcher(SearcherSpec("pr"), SPACE, (True,), 3, {}, [past])
    trials: list[PastTrial] = []
    for number in range(FIRST + 2):
        suggestion = searcher.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        assert (suggestion.info["route"] == "past") == (number < FIRST)
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (float(-number),)))
    keys = [key(SPACE, trial.values) for trial in trials]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key(SPACE, points[-1])
    assert set(keys[:FIRST]) <= {key(SPACE, point) for point in points[-2 * FIRST :]}
    # A searcher is a function of the history: another process asks for the same.
    again = make_searcher(SearcherSpec("pr"), SPACE, (True,), 3, {}, [past])
    suggestion = again.suggest(History(tuple(trials[:-1]), FIRST + 1), FIRST + 1)
    assert suggestion is not None
    assert suggestion.values == trials[-1].values


@pytest.mark.parametrize("maximize", [(True, False)])
def test_several_objectives_have_a_past_too(maximize: tuple[bool, ...]) -> None:
    rng = np.random.default_rng(1)
    points = [SPACE.sample(rng) for _ in range(8)]
    past = SourceTask("o", "s", tuple(SourceTrial(n, p, (float(n), -float(n))) for n, p in enumerate(points)))
    searcher = make_searcher(SearcherSpec("pr"), SPACE, maximize, 0, {}, [past])
    trials: list[PastTrial] = []
    for number in range(FIRST + 1):
        suggestion = searcher.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (number / 10, number % 3)))
    assert trials[0].values == points[-1]


def test_a_past_that_lies_elsewhere_leaves_the_searcher_as_it_was() -> None:
    elsewhere = task(*(({"rate": 7.0 + n}, float(n)) for n in range(5)))
    plain = make_searcher(SearcherSpec("pr"), SPACE, (True,), 0).suggest(History(), 0)
    searcher = make_searcher(SearcherSpec("pr"), SPACE, (True,), 0, {}, [elsewhere])
    suggestion = searcher.suggest(History(), 0)
    assert suggestion is not None
    assert plain is not None
    assert suggestion.values == plain.values


def test_a_value_between_the_levels_of_a_stepped_axis_is_off_it() -> None:
    space = Space((Float("share", 0.0, 1.0, step=0.25),))
    inside = within(task(({"share": 0.13}, 1.0), ({"share": 0.75 + 1e-12}, 0.5), ({"share": 1}, 0.2)), space)
    assert [trial.values["share"] for trial in inside.trials] == [0.75, 1.0]


def test_of_a_small_past_only_the_better_half_is_tried() -> None:
    space = Space((Float("x", 0.0, 1.0),))
    past = task(*(({"x": x}, y) for x, y in ((0.5, 0.9), (0.52, 0.89), (0.48, 0.88), (0.0, -5.0), (1.0, -6.0))))
    found = promising([past], space, (True,), FIRST, np.random.default_rng(0), {})
    assert [point["x"] for point in found] == [0.5, 0.52, 0.48]


def test_a_past_too_small_for_a_model_leaves_the_design_as_long_as_ever() -> None:
    space = Space(tuple(Float(f"x{n}", 0.0, 1.0) for n in range(8)))
    known = {f"x{n}": 0.5 for n in range(8)}
    searcher = make_searcher(SearcherSpec("pr"), space, (True,), 0, {}, [task((known, 1.0))])
    trials: list[PastTrial] = []
    for number in range(3):
        suggestion = searcher.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        assert suggestion.info["route"] == ("past" if number == 0 else "design")
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (float(number),)))
