"""The expected gain of the next trials: on functions whose best is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchplat.contract import Values
from searchplat.searchers import gain as module
from searchplat.searchers.contract import History, PastTrial, TrialState
from searchplat.searchers.gain import expected_gain
from searchplat.searchers.points import enumerate_points
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Categorical, Float, Int, Layout, Space

RANDOM = SearcherSpec("random")
X = Space((Float("x", 0.0, 1.0),))
MIXED = Space((Layout("layout", 4, ("causal", "context"), ("serial", "parallel")), Float("x", 0.0, 1.0), Bool("norm")))


def bump(values: Values) -> float:
    return float(-((values["x"] - 0.7) ** 2))


def past(space: Space, count: int, noise: float = 0.0, value: Any = bump) -> list[PastTrial]:
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(count)]
    return [
        PastTrial(n, point, TrialState.FINISHED, (value(point) + noise * float(rng.normal()),), 1.0, n)
        for n, point in enumerate(points)
    ]


def falling(trials: list[PastTrial]) -> list[PastTrial]:
    """The same with the best first, so that the last ones gained nothing."""
    ordered = sorted(trials, key=lambda trial: trial.objectives or (), reverse=True)
    return [replace(trial, number=number) for number, trial in enumerate(ordered)]


def gain(space: Space, trials: list[PastTrial], **more: Any) -> float:
    maximize = more.pop("maximize", True)
    found = expected_gain(space, maximize, History(tuple(trials), len(trials)), more.pop("ahead", 5), 3, {}, **more)
    assert found is not None
    return found


def test_little_is_left_to_gain_once_the_top_was_found() -> None:
    left = [point for point in past(X, 12) if point.values["x"] < 0.45]
    climbing, found = gain(X, left), gain(X, past(X, 16))

    assert climbing > 0.005, "the top is 0.06 above what was tried"
    assert found < 0.1 * climbing
    assert gain(X, past(X, 16), searcher=RANDOM) <= 1.01 * found


def test_equal_histories_have_equal_gains_and_less_is_more_turned_round() -> None:
    trials = past(MIXED, 14, noise=0.01)
    turned = [replace(trial, objectives=(-(trial.objectives or (0.0,))[0],)) for trial in trials]

    assert gain(MIXED, trials) == gain(MIXED, trials) == gain(MIXED, turned, maximize=False) > 0


def test_more_trials_gain_no_less_and_a_searcher_that_looks_gains_more() -> None:
    def ones(values: Values) -> float:
        return values["layout"].count("1") + 0.5 * float(values["x"])

    trials = past(MIXED, 20, value=ones)

    assert gain(MIXED, trials, ahead=10) > gain(MIXED, trials, ahead=1) > 0
    assert gain(MIXED, trials) > 2 * gain(MIXED, trials, searcher=RANDOM) > 0


def test_tpe_is_asked_itself_what_it_would_try() -> None:
    trials = past(MIXED, 20, noise=0.01)

    assert gain(MIXED, trials, searcher=SearcherSpec("tpe")) == gain(MIXED, trials, searcher=SearcherSpec("tpe")) > 0


def test_a_gain_is_no_less_than_that_of_the_last_trials() -> None:
    trials = past(X, 30)
    rising = [replace(trial, number=29 - trial.number) for trial in falling(trials)[::-1]]

    assert gain(X, rising) > 10 * gain(X, falling(trials))


def test_gains_are_in_units_of_the_objective() -> None:
    trials = past(MIXED, 14)
    wider = [replace(trial, objectives=(1000 * (trial.objectives or (0.0,))[0] + 5,)) for trial in trials]

    assert gain(MIXED, wider) == pytest.approx(1000 * gain(MIXED, trials), rel=1e-3)


def test_nothing_is_left_where_every_point_was_tried_or_all_values_are_one() -> None:
    small = Space((Categorical("kind", ("a", "b", "c")), Bool("norm")))
    points = [{"kind": kind, "norm": norm} for kind in "abc" for norm in (False, True)]
    trials = [PastTrial(n, p, TrialState.FINISHED, (float(n % 4),)) for n, p in enumerate(points)]

    assert gain(small, trials) == 0.0
    assert gain(small, trials, searcher=RANDOM) == 0.0
    assert gain(small, trials[:5]) > 0.0
    assert gain(X, [replace(trial, objectives=(0.5,)) for trial in past(X, 10)]) == 0.0
    assert gain(Space((Int("n", 3, 3),)), [PastTrial(0, {"n": 3}, TrialState.FINISHED, (1.0,))]) == 0.0


def test_a_lucky_value_does_not_hide_what_is_left_and_repeats_say_so() -> None:
    """Ten trainings of a point tell that its first one was lucky."""
    trials = falling(past(X, 12, noise=0.02))
    lucky = trials[0]
    once = [replace(lucky, objectives=(0.3,)), *trials[1:]]
    again = [replace(lucky, number=12 + n, objectives=(bump(lucky.values) + 0.01 * (-1) ** n,)) for n in range(10)]

    assert gain(X, [*once, *again]) > 0
    assert gain(X, [*once, *again]) < 0.1, "in steps of the noise, not of the lucky value"


def test_failed_trials_lower_what_points_like_theirs_promise() -> None:
    """The way up leads through points that fail."""
    trials = falling([trial for trial in past(X, 20) if trial.values["x"] < 0.5])
    failed = [
        PastTrial(30 + n, {"x": 0.52 + 0.04 * n}, TrialState.INFEASIBLE if n % 2 else TrialState.DIVERGED)
        for n in range(12)
    ]

    assert gain(X, [*trials, *failed]) < 0.5 * gain(X, trials)


def test_open_trials_and_pruned_ones_are_taken_in() -> None:
    trials = falling([trial for trial in past(X, 20) if trial.values["x"] < 0.5])
    running = [PastTrial(30 + n, {"x": 0.5 + 0.05 * n}, TrialState.RUNNING) for n in range(10)]
    stopped = [replace(trial, state=TrialState.STOPPED) for trial in trials]

    assert gain(X, [*trials, *running]) < gain(X, trials), "they gain what is then no gain of the next ones"
    assert gain(X, stopped) == gain(X, trials)


def test_a_long_stage_is_looked_at_by_its_best_and_its_newest() -> None:
    assert 0 <= gain(X, past(X, 700, noise=0.01)) < 0.01


def test_nothing_is_left_where_all_was_tried_though_the_model_knows_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 20)
    space = Space((Layout("layout", 2, ("causal", "context", "own"), ("serial", "parallel")),))
    trials = [
        PastTrial(n, values, TrialState.FINISHED, (float(values["layout"].count("1")),), 1.0, n)
        for n, values in enumerate(enumerate_points(space, {}))
    ]
    assert gain(space, trials, searcher=RANDOM) == 0
    assert gain(space, [t for t in trials if t.values["layout"] != "111-111"], searcher=RANDOM) > 0
