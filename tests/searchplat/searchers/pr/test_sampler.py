from __future__ import annotations

import subprocess
import sys

import optuna
import pytest

from searchplat.searchers import PRSampler
from searchplat.searchers.options import PROptions

QUICK = PROptions(startup=4, restarts=2, samples=8, steps=5)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial) -> float:
    value = sum(trial.suggest_categorical(f"bit{i}", [False, True]) == (i % 2 == 0) for i in range(6))
    value += trial.suggest_categorical("kind", ["a", "b", "c"]) == "b"
    value -= abs(trial.suggest_float("x", 1e-3, 1e1, log=True) - 1) / 10
    value -= abs(trial.suggest_int("n", 1, 200) - 50) / 200
    if trial.params["kind"] == "b":
        value += trial.suggest_int("deep", 0, 6, step=2) == 4
    return float(value)


def study(seed: int = 0, directions: tuple[str, ...] = ("maximize",)) -> optuna.Study:
    return optuna.create_study(directions=directions, sampler=PRSampler(seed=seed, options=QUICK))


def test_optimises_a_mixed_conditional_objective() -> None:
    searched = study()
    searched.optimize(objective, n_trials=25)
    at_random = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    at_random.optimize(objective, n_trials=25)

    assert searched.best_value > at_random.best_value
    assert searched.trials[-1].system_attrs["pr:info"]["route"] == "pr"


def test_ask_and_tell_equals_optimize() -> None:
    one, two = study(), study()
    one.optimize(objective, n_trials=10)
    for _ in range(10):
        trial = two.ask()
        two.tell(trial, objective(trial))

    assert [t.params for t in one.trials] == [t.params for t in two.trials]


def test_past_trials_count_and_a_new_sampler_goes_on_alike() -> None:
    one = study()
    one.optimize(objective, n_trials=8)
    two = study()
    two.add_trials(one.trials)

    for s in (one, two):
        s.optimize(objective, n_trials=1)
    assert one.trials[-1].params == two.trials[-1].params


def test_running_trials_are_pending_even_before_they_ask_for_anything() -> None:
    s = study()
    s.optimize(objective, n_trials=8)
    trials = [s.ask() for _ in range(4)]  # nothing suggested yet
    points = []
    for trial in trials:
        objective(trial)
        points.append(tuple(sorted(trial.params.items(), key=str)))

    assert len(set(points)) == 4


def test_several_objectives_failures_and_pruned_trials() -> None:
    s = study(directions=("maximize", "minimize"))

    def two(trial: optuna.Trial) -> tuple[float, float]:
        value = objective(trial)
        if trial.number == 2:
            raise RuntimeError("out of memory")
        return value, trial.params["x"]

    s.optimize(two, n_trials=10, catch=RuntimeError)
    assert len(s.best_trials) >= 1

    pruned = study()

    def stops(trial: optuna.Trial) -> float:
        value = objective(trial)
        trial.report(value, 0)
        if trial.number % 3 == 0:
            raise optuna.TrialPruned
        return value

    pruned.optimize(stops, n_trials=10)
    assert pruned.best_value > 0


def test_layers_of_bits_can_be_named() -> None:
    sampler = PRSampler(
        seed=0, layer_of=lambda n: int(n.split(".")[0][5:]), options=QUICK.model_copy(update={"surrogate": "layers"})
    )
    s = optuna.create_study(direction="maximize", sampler=sampler)
    s.optimize(lambda t: float(sum(t.suggest_int(f"layer{i}.{r}", 0, 1) for i in range(4) for r in "ab")), n_trials=12)

    assert "between" in s.trials[-1].system_attrs["pr:info"]["kernels"]


def test_equal_points_in_another_process() -> None:
    s = study(3)
    s.optimize(objective, n_trials=9)
    code = (
        f"import sys; sys.path.insert(0, {str(__file__.rsplit('/', 1)[0])!r}); import test_sampler as t;"
        "t.optuna.logging.set_verbosity(40); s = t.study(3); s.optimize(t.objective, n_trials=9);"
        "print([x.params for x in s.trials])"
    )
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == str([t.params for t in s.trials])


def test_a_storage_on_disk_holds_the_suggestions(tmp_path: object) -> None:
    """Databases limit the length of attributes: 60 names of 20 letters must fit."""
    storage = f"sqlite:///{tmp_path}/study.db"
    s = optuna.create_study(
        storage=storage, direction="maximize", sampler=PRSampler(seed=0, options=PROptions(startup=2, steps=2))
    )
    s.optimize(lambda t: float(sum(t.suggest_int(f"layer{i}.recommend", 0, 1) for i in range(60))), n_trials=3)

    assert s.trials[-1].system_attrs["pr:info"]["route"] == "pr"
