"""Ask and tell: no Ray, resumable, and read by the commands like any search."""

from __future__ import annotations

import doctest
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchplat as sp
from searchplat.api import study as module
from searchplat.errors import ExhaustedError, InputError, SearchFailedError, TryAgainError
from searchplat.spec import SpecError
from searchplat.spec.space import Categorical, Condition, Float, Space

SPACE: dict[str, Any] = {
    "search": {
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "rate": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
        "momentum": {"type": "float", "low": 0, "high": 1, "when": {"optimizer": "sgd"}},
        "layout": {"type": "layout", "layers": 3, "per_layer": ["a", "b"], "choices": ["serial", "parallel"]},
    },
    "objective": [
        {"metric": "loss", "direction": "minimize"},
        {"metric": "accuracy", "direction": "maximize"},
    ],
    "fixed": {"width": 64},
}
X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def told(trial: sp.Trial) -> dict[str, float]:
    return {"loss": trial.params["rate"], "accuracy": trial.params["layout"].count("1"), "epoch": 3}


def test_the_example_holds() -> None:
    assert doctest.testmod(module).failed == 0


def test_conditions_layouts_and_several_objectives_in_batches(tmp_path: Path) -> None:
    with sp.Study(SPACE, searcher="random", seed=1, folder=tmp_path / "runs" / "mine") as study:
        for _ in range(4):
            batch = [study.ask() for _ in range(3)]
            assert [trial.state for trial in study.open] == ["running"] * 3
            for trial in reversed(batch):
                assert ("momentum" in trial.params) == (trial.params["optimizer"] == "sgd")
                assert trial.config == {"width": 64, **trial.params}
                study.tell(trial, told(trial))
        assert len({json.dumps(trial.params) for trial in study.trials}) == 12
        front = study.front
        assert study.best == front[0]
        for trial in study.trials:
            dominated = any(
                other.values["loss"] <= trial.values["loss"]
                and other.values["accuracy"] >= trial.values["accuracy"]
                and other.values != trial.values
                for other in study.trials
            )
            assert (trial in front) == (not dominated)


def test_the_commands_and_search_read_a_study(tmp_path: Path, cli: Any) -> None:
    with sp.Study(
        X, searcher="random", seed=1, folder=tmp_path / "runs" / "mine", objective={"loss": "minimize"}
    ) as own:
        for _ in range(5):
            trial = own.ask()
            own.tell(trial, (trial.params["x"] - 0.3) ** 2)
        best = own.best
    shown = json.loads(cli("best", "mine", "--runs", "runs", "--json").stdout)
    assert shown[0]["number"] == best.number
    assert shown[0]["objectives"] == best.values
    assert sp.Search("mine", runs="runs").best()[0].params == best.params
    assert "to train it again" not in cli("best", "mine", "--runs", "runs").stdout
    assert cli("best", "mine", "--runs", "runs", "--set").exit_code == 2
    assert cli("report", "mine", "--runs", "runs").exit_code == 0
    refused = cli("promote", "mine", "--runs", "runs")
    assert refused.exit_code == 2
    assert "is a study" in refused.output
    refused = cli("search", "sasrec", "--scale", "quick", "--name", "mine", "--runs", "runs")
    assert refused.exit_code == 2
    assert "is a study" in refused.output
    assert "next\n  searchplat best mine" in cli("status", "mine", "--runs", "runs").stdout


@pytest.mark.parametrize(
    "searcher",
    ["random", {"name": "tpe", "startup": 3}, pytest.param({"name": "pr", "startup": 4}, marks=pytest.mark.slow)],
)
def test_a_study_taken_up_again_asks_what_it_would_have_asked(tmp_path: Path, searcher: Any) -> None:
    def run(folder: Path, pauses: bool) -> list[dict[str, Any]]:
        study = sp.Study(SPACE, searcher=searcher, seed=3, folder=folder)
        for _ in range(6):
            trial = study.ask()
            study.tell(trial, told(trial), seconds=1.0)
            if pauses:
                study.close()
                study = sp.Study(SPACE, searcher=searcher, seed=3, folder=folder)
        found = [trial.params for trial in study.trials]
        study.close()
        return found

    assert run(tmp_path / "parts", True) == run(tmp_path / "whole", False)


def test_what_was_not_told_is_handed_out_again_and_may_be_told_by_its_number(tmp_path: Path) -> None:
    first = sp.Study(X, searcher="random", folder=tmp_path / "mine")
    trials = [first.ask() for _ in range(3)]
    first.close()
    with sp.Study(X, searcher="random", folder=tmp_path / "mine") as again:
        again.tell(1, 0.5)  # a job of before has ended meanwhile
        assert [again.ask().params for _ in range(2)] == [trials[0].params, trials[2].params]
        assert again.ask().number == 3
        again.tell(trials[0], 0.25)
        assert again.best.number == 1


KILLED = """\
import sys
import searchplat as sp
study = sp.Study({"x": {"type": "float", "low": 0.0, "high": 1.0}}, searcher="random", folder=sys.argv[1])
while True:
    trial = study.ask()
    study.tell(trial, trial.params["x"])
    print(trial.number, flush=True)
"""


def test_a_killed_loop_loses_nothing_that_was_told(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "mine")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    last = -1
    while last < 5:
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    last = max(last, *(int(line) for line in process.stdout), last)
    process.wait()
    process.stdout.close()
    with sp.Study(X, searcher="random", folder=tmp_path / "mine") as study:
        ended = [trial for trial in study.trials if trial.state == "finished"]
        assert [trial.number for trial in ended][: last + 1] == list(range(last + 1))
        assert all(trial.value == trial.params["x"] for trial in ended)
        study.tell(study.ask(), 2.0)


def test_a_trial_that_was_reported_and_not_ended_ends_at_the_next_opening(tmp_path: Path) -> None:
    study = sp.Study(X, searcher="random", folder=tmp_path / "mine")
    trial = study.ask()
    study._ledger.report(trial.number, 1, {"value": 0.5, "time/train_seconds": 1.0})  # as if killed right here
    study.close()
    with sp.Study(X, searcher="random", folder=tmp_path / "mine") as again:
        assert (again.best.number, again.best.value, again.open) == (0, 0.5, [])


def test_failed_and_diverged_trials_have_no_place() -> None:
    with sp.Study(X, searcher="random") as study:
        study.tell(study.ask(), None, cause="no memory")
        study.tell(study.ask(), math.nan)
        study.tell(study.ask(), math.inf)
        with pytest.raises(SearchFailedError, match="no trial with a value"):
            _ = study.best
        assert study.front == []
        study.tell(study.ask(), np.float32(0.5), seconds=2)
        assert [(trial.state, trial.cause) for trial in study.trials] == [
            ("failed", "no memory"),
            ("diverged", "not finite: value = nan"),
            ("diverged", "not finite: value = inf"),
            ("finished", None),
        ]
        assert (study.best.number, study.best.seconds) == (3, 2.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, "give a value for each: {'loss': ..., 'accuracy': ...}"),
        ({"loss": 1}, "objective accuracy is missing; got loss"),
        ({"loss": "low", "accuracy": 1}, "loss must be a number, got 'low'"),
        ({"loss": True, "accuracy": 1}, "loss must be a number, got True"),
    ],
)
def test_what_is_told_wrong_leaves_the_trial_as_it_was(value: Any, message: str) -> None:
    with sp.Study(SPACE, searcher="random") as study:
        trial = study.ask()
        with pytest.raises(InputError) as caught:
            study.tell(trial, value)
        assert message in str(caught.value)
        assert study.open == [trial]
        study.tell(trial, told(trial))
        with pytest.raises(InputError, match="has ended already \\(finished\\)"):
            study.tell(trial, told(trial))
        with pytest.raises(InputError, match="trial 7 does not exist"):
            study.tell(7, None)
        with pytest.raises(InputError, match="seconds"):
            study.tell(study.ask(), None, seconds=-1)


@pytest.mark.parametrize(
    ("space", "more", "message"),
    [
        ({"x": {"type": "float", "low": 2, "high": 1}}, {}, "the space search.x: low <= high must hold"),
        ({"x": {"type": "real"}}, {}, "must be float, int, categorical, bool or layout, got 'real'"),
        ({"y": {"type": "layout", "per_layer": ["a"], "choices": ["p", "q"]}}, {}, "add layers"),
        ({"search": X, "trials": 3}, {}, "trials: is not a key of the space of a study"),
        ({"search": X, "fixed": {"x": 1}}, {}, "it is both fixed and searched"),
        ({"x": {"type": "float", "low": 0, "high": print}}, {}, "cannot be written as a space file"),
        (X, {"searcher": "best"}, "searcher: must be one of random"),
        (X, {"searcher": {"name": "random", "startup": 3}}, "startup"),
        (X, {"searcher": "cmaes", "objective": {"a": "maximize", "b": "minimize"}}, "one objective"),
        (X, {"objective": {"a": "up"}}, "a must be maximize or minimize, got 'up'"),
        (X, {"seed": -1}, "seed: must be a whole number"),
        (X, {"scale": "quick"}, "has no scales"),
        ("no-such-space", {}, "there is no such file"),
        (3, {}, "space: must be a space file's path, the name of a shipped one, or a dictionary, got 3"),
        (X, {"searcher": 3}, "searcher: must be a name, or a mapping with one under 'name', got 3"),
        (X, {"outcomes": 3}, "outcomes: must be a list such as ['size <= 1e6'], got 3"),
        (X, {"scale": ["quick"]}, "scale: must be a text, got ['quick']"),
        (X, {"overrides": 3}, "overrides: must be a list such as ['epochs=1'], or a mapping, got 3"),
        (Space((Float("x", 0, 1, when=(Condition("kind", ("a",)),)),)), {}, "x depends on kind"),
    ],
)
def test_a_wrong_space_starts_nothing(tmp_path: Path, space: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        sp.Study(space, folder=tmp_path / "mine", **more)
    assert message in str(caught.value)
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_cannot_be_used_is_named_in_words_of_python() -> None:
    with pytest.raises(InputError, match=r"search 'x': /proc/x cannot be made .*; choose another folder"):
        sp.Study(X, folder="/proc/x")
    with pytest.raises(InputError, match="folder: must be a path, got 3"):
        sp.Study(X, folder=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"search name 'Not A Name': must match .*; choose another$"):
        sp.Study(X, folder="Not A Name")


def test_a_study_is_the_same_study_or_none(tmp_path: Path) -> None:
    with sp.Study(X, searcher="random", folder=tmp_path / "mine"), pytest.raises(TryAgainError, match="is open"):
        sp.Study(X, searcher="random", folder=tmp_path / "mine")
    with pytest.raises(InputError, match="seed: 0 -> 1"):
        sp.Study(X, searcher="random", seed=1, folder=tmp_path / "mine")
    study = sp.Study(X, searcher="random", folder=tmp_path / "mine")
    study.close()
    study.close()
    with pytest.raises(InputError, match="is closed"):
        study.ask()


def test_a_search_is_no_study(half_done: Any) -> None:
    folder, _ = half_done
    with pytest.raises(InputError, match="is a search"):
        sp.Study(X, folder=folder.path)


def test_axes_may_be_called_like_keys_and_a_grid_ends() -> None:
    axes = {"method": {"type": "categorical", "choices": [1, 2]}, "search": {"type": "bool"}}
    with sp.Study(axes, searcher="grid") as study:
        for _ in range(4):
            study.tell(study.ask(), 1)
        with pytest.raises(ExhaustedError, match="no point left"):
            study.ask()


def test_a_typed_space_and_a_file_without_a_method(tmp_path: Path) -> None:
    typed = Space((Categorical("kind", ("a", "b")), Float("x", 0, 1, when=(Condition("kind", ("a",)),))))
    with sp.Study(typed, searcher="random", folder=tmp_path / "typed") as study:
        assert {tuple(study.ask().params) for _ in range(12)} == {("kind",), ("kind", "x")}
    path = tmp_path / "axes.yaml"
    path.write_text("search:\n  x: {type: int, low: 1, high: 3}\nobjective: {metric: loss, direction: minimize}\n")
    with sp.Study(path, searcher="grid") as study:
        for _ in range(3):
            trial = study.ask()
            study.tell(trial, trial.params["x"])
        assert (study.best.params, study.best.values) == ({"x": 1}, {"loss": 1.0})
    path.write_text("search:\n  x: {type: int, low: 4, high: 3}\n")
    with pytest.raises(SpecError, match=r"axes.yaml:2:\d+ search.x: low <= high"):
        sp.Study(path)


def test_a_space_of_a_method_gives_its_whole_configuration(space: Path) -> None:
    with sp.Study(space, searcher="random", overrides={"epochs": 2}) as study:
        trial = study.ask()
    assert set(trial.params) == {"layout", "x", "kind"}
    assert trial.config["epochs"] == 2
    assert trial.config["layers"] == 12


def test_it_is_gone_with_the_object_unless_a_folder_is_given() -> None:
    study = sp.Study(X, searcher="random")
    folder = study.folder
    assert folder.exists()
    del study
    assert not folder.exists()


def test_ray_and_mlflow_are_never_loaded() -> None:
    code = (
        "import sys, searchplat as sp\n"
        "s = sp.Study({'x': {'type': 'float', 'low': 0.0, 'high': 1.0}}, searcher='random')\n"
        "s.tell(s.ask(), 1.0); s.best; s.close()\n"
        "print(*{'ray', 'mlflow', 'torch', 'pandas', 'optuna'} & set(sys.modules))\n"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.slow  # torch and botorch load
def test_not_by_the_searcher_with_a_model_either() -> None:
    code = (
        "import sys, searchplat as sp\n"
        "with sp.Study({'x': {'type': 'float', 'low': 0.0, 'high': 1.0}}, searcher='pr', seed=1) as s:\n"
        "    for _ in range(14):\n"
        "        t = s.ask(); s.tell(t, -(t.params['x'] - 0.7) ** 2)\n"
        "    assert abs(s.best.params['x'] - 0.7) < 0.1\n"
        "print(*{'ray', 'mlflow'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("searcher", ["random", "tpe", "pr"])
def test_constraints_are_kept(searcher: str) -> None:
    axes = {"width": {"type": "int", "low": 4, "high": 32, "step": 4}, "heads": {"type": "int", "low": 1, "high": 8}}
    study = sp.Study({"search": axes, "fixed": {"most": 6}, "constraints": ["width % heads == 0", "heads <= most"]},
                  searcher=searcher, seed=1)  # fmt: skip
    for _ in range(10):
        trial = study.ask()
        assert trial.params["width"] % trial.params["heads"] == 0
        assert trial.params["heads"] <= 6
        study.tell(trial, float(trial.params["width"]))


def test_a_constraint_on_nothing_known_is_refused() -> None:
    with pytest.raises(InputError, match=r"constraints\[0\]: hed is neither"):
        sp.Study({"search": {"heads": {"type": "int", "low": 1, "high": 8}}, "constraints": ["hed > 1"]}, seed=1)


def test_bounds_on_outcomes(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine"
    with sp.Study(X, searcher="tpe", seed=1, folder=folder, outcomes=["size <= 0.5"]) as study:
        for _ in range(12):
            trial = study.ask()
            if trial.number == 0:
                with pytest.raises(InputError, match="there are bounds on outcomes, so give a value for each"):
                    study.tell(trial, 0.5)
                with pytest.raises(InputError, match="bounded metric size is missing; got value"):
                    study.tell(trial, {"value": 0.5})
            size = math.nan if trial.number == 3 else trial.params["x"]
            study.tell(trial, {"value": trial.params["x"], "size": size})
        kept = [trial for trial in study.trials if trial.feasible]
        assert study.best == max(kept, key=lambda trial: trial.value or 0.0)
        assert study.trials[3].broken == {"size <= 0.5": math.inf}
        assert all(trial.params["x"] <= 0.5 for trial in kept)
    search = sp.Search("mine", runs=folder.parent)
    assert search.best()[0].feasible
    assert [trial.feasible for trial in search.best(12)] == sorted((t.feasible for t in search.best(12)), reverse=True)
    table = search.trials()
    assert (table["violation"] == 0).sum() == len(kept)
    assert table["outcome.size"].isna().sum() == 1
    with pytest.raises(InputError, match="outcomes: "):
        sp.Study(X, folder=folder, outcomes=["size <= 0.6"])


def test_a_study_learns_from_another_and_goes_on_from_its_copy(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    with sp.Study(X, searcher="random", seed=1, folder=folder / "first") as study:
        for _ in range(8):
            trial = study.ask()
            study.tell(trial, 1 - (trial.params["x"] - 0.3) ** 2)
        best = study.best.params
    searcher = {"name": "pr", "past": ["first"]}
    with sp.Study(X, searcher=searcher, seed=2, folder=folder / "second") as study:
        trial = study.ask()
        assert trial.params == best
        study.tell(trial, 0.5)
    shutil.rmtree(folder / "first")
    with sp.Study(X, searcher=searcher, seed=2, folder=folder / "second") as study:
        assert study.ask().params != best
    with pytest.raises(InputError, match="'first' does not exist"):
        sp.Study(X, searcher=searcher, seed=2, folder=folder / "third")
