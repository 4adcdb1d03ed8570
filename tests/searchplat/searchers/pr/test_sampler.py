from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import joblib
import numpy as np
import optuna
import pytest
import torch

from searchplat.errors import InputError
from searchplat.searchers import PRSampler
from searchplat.searchers.options import PROptions
from searchplat.searchers.pr.optuna_study.study_space import StudySpace
from searchplat.searchers.pr.sampler import _known

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


def branches(trial: optuna.Trial) -> float:
    """Switches with a number each: asked for only where the switch is on, worth it only near one value."""
    value = 0.0
    for i in range(4):
        if trial.suggest_categorical(f"on{i}", [False, True]):
            value += (1.0 if i % 2 else -0.3) - 2 * (trial.suggest_float(f"x{i}", -1, 1) - (i - 2) / 4) ** 2
    return value


@pytest.mark.slow
def test_parameters_of_some_trials_are_found_sooner_than_at_random() -> None:
    """Four seeds; the best possible value is 2."""
    best: dict[str, list[float]] = {"pr": [], "random": []}
    for seed in range(4):
        for name, sampler in (
            ("pr", PRSampler(seed=seed, options=QUICK)),
            ("random", optuna.samplers.RandomSampler(seed=seed)),
        ):
            searched = optuna.create_study(direction="maximize", sampler=sampler)
            searched.optimize(branches, n_trials=14)
            best[name].append(searched.best_value)

    assert np.mean(best["pr"]) > np.mean(best["random"]) + 0.3


def test_all_parameters_are_returned_once_every_point_was_tried() -> None:
    s = study()
    s.optimize(lambda t: float(t.suggest_int("a", 0, 1) + t.suggest_int("b", 0, 1) + t.suggest_int("c", 5, 5)), 8)
    space = {**s.trials[0].distributions, "new": optuna.distributions.FloatDistribution(0, 1)}

    trial = s.ask()
    params = s.sampler.sample_relative(s, s.trials[trial.number], space)

    assert list(params) == list(space)
    assert params["c"] == 5


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "joblib"])
def test_a_study_goes_on_alike_in_a_copy(how: str, tmp_path: object) -> None:
    one = study()
    one.optimize(objective, n_trials=6)
    path = f"{tmp_path}/study"
    two: optuna.Study
    if how == "joblib":
        joblib.dump(one, path)
        two = joblib.load(path)
    else:
        two = pickle.loads(pickle.dumps(one)) if how == "pickle" else copy.deepcopy(one)

    for s in (one, two):
        s.optimize(objective, n_trials=1)
    assert one.trials[-1].params == two.trials[-1].params
    assert len(two.trials) == 7


def test_threads_see_each_others_points() -> None:
    s = study()
    s.optimize(lambda t: float(sum(t.suggest_int(f"b{i}", 0, 1) for i in range(5))), n_trials=20, n_jobs=4)

    points = [tuple(sorted(t.params.items())) for t in s.trials]
    assert len(points) == 20
    # The first of each thread may be random: the study had no parameters yet.
    assert len(set(points)) >= 17


@pytest.mark.slow
def test_two_processes_share_a_study_in_a_database(tmp_path: object) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    s = optuna.create_study(storage=storage, study_name="s", sampler=PRSampler(seed=0, options=QUICK))
    s.optimize(branches, n_trials=2)
    code = (
        f"import sys; sys.path.insert(0, {str(__file__.rsplit('/', 1)[0])!r}); import test_sampler as t;"
        f"s = t.optuna.load_study(study_name='s', storage={storage!r}, sampler=t.PRSampler(seed=0, options=t.QUICK));"
        "s.optimize(t.branches, n_trials=8)"
    )
    both = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code]) for _ in range(2)]

    assert [process.wait(timeout=200) for process in both] == [0, 0]
    assert [t.state.name for t in s.trials] == ["COMPLETE"] * 18
    # Of two that ask at the same moment neither can know what the other is given.
    assert len({tuple(sorted(t.params.items())) for t in s.trials}) >= 15


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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "seed: must be 0 or more, got -1"),
        ({"seed": "a"}, "seed: must be a whole number, got 'a'"),
        ({"seed": 1.5}, "seed: must be a whole number, got 1.5"),
        ({"layer_of": 3}, "layer_of: must be a function from a parameter's name to its layer, got 3"),
        ({"options": {"beta": 1.0}}, "options: must be a PROptions, got {'beta': 1.0}"),
    ],
)
def test_what_a_sampler_cannot_be_made_of_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        PRSampler(**given)
    assert str(caught.value) == message


def test_a_layer_is_a_whole_number() -> None:
    s = optuna.create_study(sampler=PRSampler(seed=0, options=QUICK, layer_of=lambda name: -1))
    with pytest.raises(InputError, match=r"layer_of\('bit'\): must be 0 or more, got -1"):
        s.optimize(lambda trial: float(trial.suggest_categorical("bit", [False, True])), n_trials=2)


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


def test_constraints_of_a_study_keep_it_near_what_keeps_them() -> None:
    study = optuna.create_study(direction="maximize", sampler=PRSampler(seed=0, options=QUICK))
    for _ in range(18):
        trial = study.ask()
        bits = sum(trial.suggest_int(f"b{n}", 0, 1) for n in range(8))
        trial.set_constraint("bits", bits - 3)
        study.tell(trial, bits)
    late = [sum(trial.params.values()) for trial in study.trials[8:]]
    assert np.mean(late) < 4.5  # without the constraint it would have gone to 8
    assert study.best_value == 3


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_where_nothing_keeps_a_constraint_it_goes_to_where_less_of_it_is_broken(unit: float) -> None:
    study = optuna.create_study(direction="maximize", sampler=PRSampler(seed=0, options=QUICK))
    bits = {f"b{n}": optuna.distributions.IntDistribution(0, 1) for n in range(10)}
    generator = np.random.default_rng(0)
    for number in range(12):
        ones = set(generator.permutation(10)[: 6 + number % 4])
        trial = optuna.trial.create_trial(
            params={name: int(n in ones) for n, name in enumerate(bits)}, distributions=bits, value=float(len(ones))
        )
        trial.set_constraint("size", (len(ones) - 3) * unit)
        study.add_trial(trial)
    for _ in range(4):
        trial = study.ask(bits)
        ones = sum(trial.params.values())
        trial.set_constraint("size", (ones - 3) * unit)
        study.tell(trial, ones)
    assert min(sum(trial.params.values()) for trial in study.trials[12:]) <= 3  # of 6 to 9 before


def test_values_are_known_in_the_order_in_which_trials_ended() -> None:
    s = study()
    distributions = {f"b{i}": optuna.distributions.IntDistribution(0, 1) for i in range(4)}
    trials = [s.ask(distributions) for _ in range(4)]
    for number in (2, 0):
        s.tell(trials[number], 1.0)
    s.tell(trials[3], state=optuna.trial.TrialState.FAIL)
    s.tell(trials[1], 1.0)

    known = _known(s.trials, torch.ones(1, dtype=torch.float64), StudySpace(distributions, lambda _: None, s.trials))

    assert known.known_at_N is not None
    assert known.failed_at_F is not None
    assert known.known_at_N.argsort().tolist() == [2, 0, 1]
    assert known.known_at_N[0] < known.failed_at_F[0] < known.known_at_N[1]
