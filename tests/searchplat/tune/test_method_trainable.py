"""Methods as trainables: driven as Tune drives them, and by Tune itself on a real Ray."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.search.optuna import OptunaSearch
from searches import rehearsal_spec

from searchplat.engine.without_ray.run_one import run_one
from searchplat.errors import InputError, SearchFailedError, TestSplitError
from searchplat.firewall import is_sealed
from searchplat.searchers import PRSampler
from searchplat.searchers.options import PROptions
from searchplat.spec import SearchSpec, load
from searchplat.spec.space import Categorical, Condition, Float, Layout, Space
from searchplat.tune import MethodTrainable, layer_of, optuna_space, param_space, trainable, values_of

PAGE = Path(__file__).parents[3] / "docs" / "tune.md"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MethodTrainable]]:
    """Trainables in this process, as Tune makes them in its own."""
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    # Where Ray makes folders for trainables without a storage; by default in the home folder.
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "tune"))
    made: list[MethodTrainable] = []

    def start(kind: type[MethodTrainable], config: dict[str, Any]) -> MethodTrainable:
        made.append(kind(config))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def metrics_of(result: dict[str, Any]) -> dict[str, float]:
    """What is the same in every training."""
    return {name: value for name, value in result.items() if name.startswith(("valid/", "train/"))}


def trained(one: MethodTrainable) -> list[dict[str, float]]:
    reports, done = [], False
    while not done:
        result = one.train()
        done = result["done"]
        reports.append(metrics_of(result))
    return reports


def test_a_trial_reports_what_a_training_without_tune_does(start: Callable[..., MethodTrainable]) -> None:
    config = {"hidden_size.index": 1, "num_layers": 1}
    ours = run_one(load("sasrec", scale="smoke"), {"hidden_size": 16, "num_layers": 1})
    one = start(trainable("sasrec", "smoke"), config)
    assert trained(one) == [metrics_of(report) for report in ours]
    assert one.training_iteration == 3


def test_a_checkpointed_trial_goes_on_elsewhere_where_it_was(start: Callable[..., MethodTrainable]) -> None:
    kind = trainable("sasrec", "smoke")
    whole, first, second = (start(kind, {"num_layers": 1}) for _ in range(3))
    everything = trained(whole)
    first.train()
    saved = first.save()
    first.stop()
    second.restore(saved)
    assert second.training_iteration == 1
    assert trained(second) == everything[1:]


def test_another_trials_checkpoint_is_taken_up_under_own_values(start: Callable[..., MethodTrainable]) -> None:
    kind = trainable("sasrec", "smoke")
    better, worse = start(kind, {"learning_rate": 1e-3}), start(kind, {"learning_rate": 5e-3})
    better.train()
    worse.train()
    saved = better.save()
    assert worse.reset({"learning_rate": 2e-3})
    worse.restore(saved)
    assert metrics_of(worse.train()) != metrics_of(better.train())
    assert worse.training_iteration == 2
    assert worse.reset({"num_layers": 3})
    with pytest.raises(InputError, match="the checkpoint's tensors must be this trial's"):
        worse.restore(saved)


def test_a_trial_that_was_saved_after_its_last_epoch_says_so_again(start: Callable[..., MethodTrainable]) -> None:
    kind = trainable(rehearsal_spec({"epochs": 2}))
    one, again = start(kind, {"x": 0.5}), start(kind, {"x": 0.5})
    last = trained(one)[-1]
    again.restore(one.save())
    result = again.train()
    assert (result["done"], metrics_of(result)) == (True, last)


def test_a_damaged_checkpoint_is_not_taken_for_a_beginning(start: Callable[..., MethodTrainable]) -> None:
    kind = trainable("sasrec", "smoke")
    one, again = start(kind, {}), start(kind, {})
    one.train()
    saved = one.save()
    for file in Path(saved.checkpoint.path).rglob("model.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SearchFailedError, match="a checkpoint of epoch 1 is damaged: what can be read is of epoch 0"):
        again.restore(saved)


def test_a_process_takes_another_trial_and_keeps_what_is_warm(start: Callable[..., MethodTrainable]) -> None:
    kind = trainable("sasrec", "smoke")
    one, fresh = start(kind, {"num_layers": 2}), start(kind, {"num_layers": 1})
    trained(one)
    warm = one._warm
    assert one.reset({"num_layers": 1})
    assert trained(one) == trained(fresh)
    assert one._warm is warm


@pytest.mark.parametrize(
    ("fixed", "config", "error", "text"),
    [
        ({}, {"x": 99}, InputError, "method 'rehearsal' refuses the values"),
        ({}, {"y": 1}, InputError, "config: y is neither"),
        ({"fault": "raise"}, {}, RuntimeError, "a planted bug"),
        ({"fault": "memory"}, {}, MemoryError, "planted"),
        ({"fault": "input"}, {}, InputError, "a planted fault of the input"),
        ({"fault": "nan"}, {}, SearchFailedError, "the training diverged in epoch 1: valid/mrr not finite"),
    ],
)
def test_what_goes_wrong_ends_the_trial_with_its_own_error(
    start: Callable[..., MethodTrainable], fixed: dict[str, Any], config: dict[str, Any], error: type, text: str
) -> None:
    one = start(trainable(rehearsal_spec({"fault_epoch": 1, **fixed})), config)
    with pytest.raises(error, match=text):
        one.train()


def test_a_trial_cannot_reach_test_items_and_whoever_called_it_can(
    start: Callable[..., MethodTrainable], tmp_path: Path
) -> None:
    np.save(tmp_path / "test.npy", np.zeros(1))
    one = start(trainable(rehearsal_spec({"peek": str(tmp_path / "test.npy")})), {})
    with pytest.raises(TestSplitError, match="a trial cannot open"):
        one.train()
    assert not is_sealed()


def test_a_trial_takes_the_resources_of_its_space() -> None:
    kind = trainable(rehearsal_spec())
    assert kind.default_resource_request({}) == tune.PlacementGroupFactory([{"CPU": 1}])
    assert kind.__name__ == "rehearsal"


def test_a_seed_that_no_generator_takes_is_refused() -> None:
    with pytest.raises(InputError, match="seed: must be a whole number from 0 to 4294967295, got 4294967296"):
        trainable(rehearsal_spec(), seed=2**32)


def test_tune_can_pickle_all_that_it_keeps_of_a_run() -> None:
    pickle.loads(pickle.dumps(optuna_space("mixrec", "smoke")))
    search = OptunaSearch(optuna_space("mixrec", "smoke"), "valid/mrr", "max", sampler=PRSampler(layer_of=layer_of))
    search.save("searcher.pkl")
    assert Path("searcher.pkl").stat().st_size > 0


AXES = (
    Layout("layout", 3, ("causal", "context"), ("serial", "parallel")),
    Categorical("kind", ("a", "b")),
    Float("x", 0.0, 1.0, when=(Condition("kind", ("a",)),)),
)
QUICK = PROptions(startup=2, restarts=2, samples=8, steps=3)


@pytest.fixture(scope="module")
def ray_for_tune() -> Iterator[None]:
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNE_DISABLE_SIGINT_HANDLER", "1")
        patch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # they leave files open
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20
        )  # fmt: skip
        yield
        ray.shutdown()


@pytest.fixture
def run_config(ray_for_tune: None, tmp_path: Path) -> Callable[..., tune.RunConfig]:
    def make(**more: Any) -> tune.RunConfig:
        each = tune.CheckpointConfig(checkpoint_frequency=1)
        return tune.RunConfig(storage_path=str(tmp_path / "tune"), verbose=0, checkpoint_config=each, **more)

    return make


def diary_of(tmp_path: Path) -> tuple[SearchSpec, Callable[[], list[tuple[int, int]]]]:
    """The space with a diary, and what reads it: epochs and the processes that trained them."""
    path = tmp_path / "diary"

    def read() -> list[tuple[int, int]]:
        return [(int(line.split()[1]), int(line.split()[2])) for line in path.read_text().splitlines()]

    return replace(rehearsal_spec({"diary": str(path)}), space=Space(AXES)), read


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize("by_run", [False, True], ids=["param_space", "optuna_space"])
def test_pr_searches_under_tune_in_one_process_and_a_bug_ends_its_own_trial(
    run_config: Callable[..., tune.RunConfig], tmp_path: Path, by_run: bool
) -> None:
    spec, diary = diary_of(tmp_path)
    spec = replace(spec, fixed={**spec.fixed, "fault": "raise", "fault_above": 0.8})
    sampler = PRSampler(seed=1, layer_of=layer_of, options=QUICK)
    goal = {"metric": "valid/mrr", "mode": "max"}
    searcher = OptunaSearch(optuna_space(spec), **goal, sampler=sampler) if by_run else OptunaSearch(sampler=sampler)
    results = tune.Tuner(
        trainable(spec),
        param_space=None if by_run else param_space(spec),
        tune_config=tune.TuneConfig(
            **({} if by_run else goal),
            search_alg=searcher,
            num_samples=6,
            max_concurrent_trials=1,
            reuse_actors=True,
        ),
        run_config=run_config(),
    ).fit()
    assert len(results) == 6
    assert all("a planted bug" in str(error) for error in results.errors)
    whole = [result for result in results if result.error is None]
    assert [result.metrics["training_iteration"] for result in whole] == [3] * len(whole)
    assert 1 <= len({process for _, process in diary()}) <= 1 + len(results.errors) <= 3
    best = results.get_best_result(**goal)
    values = values_of(spec, best.config)
    assert spec.space.refusals(values) == []
    assert best.metrics["valid/mrr"] == run_one(spec, values)[-1]["valid/mrr"]
    assert len({json.dumps(values_of(spec, result.config)) for result in results}) == 6


class KillOnce(tune.Callback):
    """Ends a trial's process when it first reports its second epoch."""

    killed = False

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if result["training_iteration"] == 2 and not self.killed:
            self.killed = True
            os.kill(result["pid"], signal.SIGKILL)


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_trial_whose_process_dies_goes_on_from_its_checkpoint(
    run_config: Callable[..., tune.RunConfig], tmp_path: Path
) -> None:
    spec, diary = diary_of(tmp_path)
    killer = KillOnce()
    failures = tune.FailureConfig(max_failures=1)
    config = run_config(callbacks=[killer], failure_config=failures)
    (result,) = tune.Tuner(trainable(spec), param_space={"x": 0.5}, run_config=config).fit()
    assert killer.killed
    assert result.error is None
    assert result.metrics["training_iteration"] == 3
    epochs = [epoch for epoch, _ in diary()]
    assert epochs in ([1, 2, 3], [1, 2, 2, 3])
    assert len({process for _, process in diary()}) == 2


@pytest.mark.by_hand
@pytest.mark.slow
def test_population_based_training_hands_checkpoints_on(
    run_config: Callable[..., tune.RunConfig], tmp_path: Path
) -> None:
    spec, diary = diary_of(tmp_path)
    spec = replace(spec, fixed={**spec.fixed, "epochs": 10, "seconds": 1.0})  # so long that the two overlap
    population = PopulationBasedTraining(
        metric="valid/mrr",
        mode="max",
        perturbation_interval=1,
        hyperparam_mutations={"x": param_space(spec)["x"]},
        quantile_fraction=0.5,
    )
    results = tune.Tuner(
        trainable(spec),
        param_space={"x": tune.grid_search([0.1, 0.7])},
        tune_config=tune.TuneConfig(scheduler=population, reuse_actors=True),
        run_config=run_config(),
    ).fit()
    assert results.errors == []
    assert [result.metrics["training_iteration"] for result in results] == [10, 10]
    assert {result.config["x"] for result in results} != {0.1, 0.7}
    assert [epoch for epoch, _ in diary()].count(1) == 2  # nobody began anew


@pytest.mark.slow
def test_the_pages_script_runs_as_it_stands(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(from ray import tune\n.*?)```", text, flags=re.DOTALL)
    environment = {**os.environ, "HOME": str(tmp_path)}  # Tune's own folder of results
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0\.\d+ {.*'layout': '[01]{3}-[01]{3}'", done.stdout, flags=re.MULTILINE)
