"""Studies of every odd kind that Optuna allows: each runs to its end, with points that Optuna itself takes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import optuna
import pytest

from searchplat.searchers import PRSampler
from searchplat.searchers.options import PROptions

TINY = PROptions(startup=2, restarts=2, samples=4, steps=2)
TRIALS = 6  # a random one, a designed one, and four by the surrogate

Objective = Callable[[optuna.Trial], Any]


EVERYDAY = {
    "lists", "NaN and infinity", "one choice", "two equal ends", "a width of 1e-300", "63 bits", "two branches",
    "nested", "as many as another says", "moving ranges", "infinite", "at times NaN", "all failed",
    "a constraint kept at times",
}  # fmt: skip
"""One of a kind; the long run has all."""


def daily_some(inputs: dict[str, Objective]) -> list[Any]:
    """The inputs as parameters, marked slow but for `EVERYDAY`."""
    return [pytest.param(o, id=n, marks=[] if n in EVERYDAY else [pytest.mark.slow]) for n, o in inputs.items()]


def study(directions: Sequence[str] = ("maximize",), seed: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=directions, sampler=PRSampler(seed=seed, options=TINY))


def finish(searched: optuna.Study, objective: Objective, trials: int = TRIALS) -> list[optuna.trial.FrozenTrial]:
    """Run the trials; nothing but `FailedError` may end one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna's remarks on choices and steps
        searched.optimize(objective, n_trials=trials, catch=FailedError)
    return searched.trials


class FailedError(Exception):
    """What a trial fails with on purpose."""


def choose(*choices: Any) -> Objective:
    return lambda t: float(choices.index(c) if (c := t.suggest_categorical("c", choices)) in choices else 0)


AXES: dict[str, Objective] = {
    "lists": choose([1, 2], [3], []),
    "dicts": choose({"a": 1}, {}, {"a": [2]}),
    "tuples and None": choose((1, 2), None, ()),
    "NaN and infinity": choose(1.0, math.nan, math.inf),
    "equal numbers of three types": choose(1, True, 1.0),
    "texts like numbers": choose("1", "1.0", "nan", ""),
    "one choice": choose("a"),
    "300 choices": choose(*range(300)),
    "two equal ends": lambda t: t.suggest_float("x", 0.1, 0.1) + t.suggest_float("y", 0, 1),
    "two equal ends, log": lambda t: t.suggest_float("x", 0.1, 0.1, log=True) + t.suggest_float("y", 0, 1),
    "nothing but equal ends": lambda t: t.suggest_float("x", 3, 3) + t.suggest_int("n", 2, 2),
    "a width of 1e-300": lambda t: 1e300 * t.suggest_float("x", 0, 1e-300),
    "denormal ends": lambda t: t.suggest_float("x", 0, 5e-324),
    "neighbouring floats": lambda t: t.suggest_float("x", 1.0, math.nextafter(1.0, 2)),
    "neighbouring floats, log": lambda t: t.suggest_float("x", 1.0, math.nextafter(1.0, 2), log=True),
    "nearly all floats": lambda t: math.atan(t.suggest_float("x", -8e307, 8e307)),
    "600 decades": lambda t: math.log(t.suggest_float("x", 1e-300, 1e300, log=True)),
    "63 bits": lambda t: float(t.suggest_int("n", 0, 2**63 - 1)),
    "53 bits in threes": lambda t: float(t.suggest_int("n", -(2**53), 2**53 - 1, step=3)),
    "60 bits, log": lambda t: math.log(t.suggest_int("n", 1, 2**60, log=True)),
    "one and two, log": lambda t: t.suggest_int("n", 1, 2, log=True),
    "tenths": lambda t: t.suggest_float("x", -10.2, 10.2, step=0.1),
    "a step beyond the range": lambda t: t.suggest_float("x", 0, 1, step=3) + t.suggest_int("n", 0, 1, step=3),
    "a step that does not fit": lambda t: t.suggest_float("x", 0, 1, step=0.3) + t.suggest_int("n", 0, 10, step=4),
    "40 bits": lambda t: sum(t.suggest_int(f"b{i}", 0, 1) for i in range(40)),
    "odd names": lambda t: sum(t.suggest_float(n, 0, 1) for n in ("", "a b", "ü", "pr:params:0", "x" * 300)),
    "no parameter": lambda t: 1.0,
}


def _late(trial: optuna.Trial, limit: int = 3) -> float:
    return trial.suggest_float("x", 0, 1) + (trial.suggest_int("n", 0, 9) if trial.number >= limit else 0)


def _moving(trial: optuna.Trial) -> float:
    n = trial.number
    return (
        trial.suggest_float("x", n, n + 1.5) + trial.suggest_int("n", -n, n) + trial.suggest_int("s", 0, 12, step=n + 1)
    )


def _branches(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("model", ["svc", "forest"]) == "svc":
        return -math.log(trial.suggest_float("c", 1e-5, 1e5, log=True))
    return trial.suggest_int("depth", 2, 32, log=True)


CONDITIONS: dict[str, Objective] = {
    "two branches": _branches,
    "as many as another says": lambda t: sum(t.suggest_int(f"u{i}", 4, 128) for i in range(t.suggest_int("n", 1, 3))),
    "as many as one of 50 says": lambda t: sum(
        t.suggest_int(f"u{i}", 0, 3) for i in range(t.suggest_int("n", 1, 50) % 3)
    ),
    "nested": lambda t: t.suggest_int("a", 0, 1) and t.suggest_int("b", 0, 1) and t.suggest_float("c", 0, 1),
    "both": lambda t: t.suggest_int("a", 0, 1) + t.suggest_int("b", 0, 1) == 2 and t.suggest_float("c", 0, 1),
    "either": lambda t: t.suggest_int("a", 0, 1) + t.suggest_int("b", 0, 1) > 0 and t.suggest_float("c", 0, 1),
    "beyond a threshold": lambda t: t.suggest_float("x", 0, 1) > 0.5 and t.suggest_float("y", 0, 1),
    "by the trial's number": lambda t: t.suggest_float(f"x{t.number % 3}", 0, 1),
    "new names every time": lambda t: t.suggest_float(f"x{t.number}", 0, 1),
    "from the fourth on": _late,
    "until the fourth": lambda t: t.suggest_float("x", 0, 1) + (t.suggest_int("n", 0, 9) if t.number < 4 else 0),
    "moving ranges": _moving,
    "a range that opens": lambda t: t.suggest_int("n", 1, 1 + t.number // 2) + t.suggest_float("x", 0, t.number // 3),
}


@pytest.mark.parametrize("objective", daily_some({**AXES, **CONDITIONS}))
def test_every_parameter_is_searched_to_the_end(objective: Objective) -> None:
    trials = finish(study(), objective)

    assert [t.state.name for t in trials] == ["COMPLETE"] * TRIALS
    for trial in trials:
        for name, distribution in trial.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


def _pruned(value: float | None) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        if value is not None:
            trial.report(value, 0)
        raise optuna.TrialPruned

    return objective


def _fails(every: int, before: bool = False) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        x = 0.0 if before else trial.suggest_float("x", 0, 1)
        if trial.number % every == 0:
            raise FailedError
        return x + trial.suggest_int("n", 0, 3)

    return objective


def _constrained(limit: float) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("x", x - limit)
        return x

    return objective


VALUES: dict[str, Objective] = {
    "equal": lambda t: 0 * t.suggest_float("x", 0, 1),
    "infinite": lambda t: math.inf + t.suggest_float("x", 0, 1),
    "at times minus infinite": lambda t: -math.inf if t.number % 3 == 1 else t.suggest_float("x", 0, 1),
    "NaN": lambda t: math.nan * t.suggest_float("x", 0, 1),
    "at times NaN": lambda t: math.nan if t.number % 3 == 1 else t.suggest_float("x", 0, 1),
    "huge, of both signs": lambda t: (-1) ** t.number * 1e308 + t.suggest_float("x", 0, 1),
    "denormal": lambda t: 5e-324 * t.suggest_int("n", 0, 5),
    "one far below all others": lambda t: -1e300 if t.number == 2 else t.suggest_float("x", 0, 1),
    "all pruned without a report": _pruned(None),
    "all pruned": _pruned(1.0),
    "all pruned at NaN": _pruned(math.nan),
    "all failed": _fails(1),
    "each second failed": _fails(2),
    "failed before they asked": _fails(2, before=True),
    "no constraint kept": _constrained(-1),
    "a constraint kept at times": _constrained(0.5),
}


@pytest.mark.parametrize("objective", daily_some(VALUES))
def test_every_value_and_end_of_trials_is_survived(objective: Objective) -> None:
    assert len(finish(study(), objective)) == TRIALS


SEVERAL: dict[str, tuple[int, Objective]] = {
    "two": (2, lambda t: (t.suggest_float("x", 0, 1), t.suggest_int("n", 0, 3))),
    "three": (3, lambda t: (t.suggest_float("x", 0, 1), t.suggest_int("n", 0, 3), -t.params["x"])),
    "equal": (2, lambda t: (t.suggest_float("x", 0, 1), 1.0)),
    "infinite": (2, lambda t: (t.suggest_float("x", 0, 1), math.inf)),
    "of branches": (2, lambda t: (_branches(t), t.number)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("count", "objective"), SEVERAL.values(), ids=SEVERAL)
def test_several_objectives_are_searched(count: int, objective: Objective) -> None:
    trials = finish(study(["maximize", "minimize", "maximize"][:count]), objective)

    assert [t.state.name for t in trials] == ["COMPLETE"] * TRIALS


@pytest.mark.slow
@pytest.mark.parametrize("params", [{"x": 0.25}, {"x": 0.25, "n": 3}, {"n": 77}, {"elsewhere": 1}, {}])
def test_enqueued_trials_are_taken_as_they_are(params: dict[str, Any]) -> None:
    searched = study()
    finish(searched, lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 0, 9), 3)
    searched.enqueue_trial(params)
    finish(searched, lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 0, 9), 3)

    taken = searched.trials[3].params
    assert all(taken[name] == value for name, value in params.items() if name in taken)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x", "n", "k"])
def test_parameters_may_be_held(name: str) -> None:
    """Around the sampler, Optuna's own that fixes some parameters asks it for the others."""

    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 0, 9) + trial.suggest_categorical("k", [0, 1, 2])

    searched = study()
    finish(searched, objective, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        searched.sampler = optuna.samplers.PartialFixedSampler({name: 1}, searched.sampler)
    assert all(t.params[name] == 1 for t in finish(searched, objective, 3)[3:])
