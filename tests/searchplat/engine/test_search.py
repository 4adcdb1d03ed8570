"""Searches by the real command on real Ray and MLflow: DARec at the scale `smoke`, resuming, extending, forking."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from searchplat.engine.planning.seeds import shared_seed
from searchplat.engine.without_ray.run_one import run_one
from searchplat.errors import TryAgainError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.ranking import Ranking
from searchplat.spec import find_space, load, to_document
from searchplat.tracking import best_trials

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2}
search: {x: {type: float, low: 0.0, high: HIGH}}
searcher: {name: tpe}
trials: 3
"""


def searchplat(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "searchplat", *arguments], capture_output=True, text=True, timeout=250)


def test_a_search_that_no_machine_has_room_for_any_more_is_refused_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space = tmp_path / "s.yaml"
    space.write_text(SPACE.replace("HIGH", "1.0") + "resources: {cpu: 100000}\n")
    folder, spec = SearchFolder(Path("runs"), "s"), load(space)
    folder.path.mkdir(parents=True)
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as begun:
        begun.note("opened", {"pid": 1, "resumed": False})  # where there was room
    done = searchplat("search", "s.yaml", "--name", "s")
    assert done.returncode == 2
    assert "a trial takes 100000 CPU cores" in done.stderr
    assert "preparing" not in done.stdout


def ledger(name: str) -> Ledger:
    return SearchFolder(Path("runs"), name).read()


def test_darec_at_the_scale_smoke_ends_well_and_mlflow_has_it_all() -> None:
    done = searchplat("search", "darec", "--scale", "smoke", "--name", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    with ledger("smoke") as record:
        trials = record.trials()
    assert {trial.state for trial in trials} == {"finished"}
    assert {trial.stage for trial in trials} == {"controls", "layout", "weights"}
    assert {trial.control for trial in trials} == {
        None, "popularity", "markov", "default", "all-serial", "all-parallel", "random",
    }  # fmt: skip

    # As anybody would ask, from outside.
    # Absolute: MLflow keeps the store that a relative address meant in an earlier folder.
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    runs = mlflow.search_runs(experiment_names=["smoke"], output_format="list")
    kinds = [run.data.tags["searchplat.kind"] for run in runs]
    assert kinds.count("search") == 1
    assert kinds.count("trial") == len(trials) == len(runs) - 1
    parent = runs[kinds.index("search")]
    client = mlflow.MlflowClient()
    for run in runs:
        assert run.info.status == "FINISHED"
        assert not [key for key in run.data.metrics if key.startswith("test")]
        if run is parent:
            continue
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        trial = trials[int(run.data.tags["searchplat.trial"])]
        assert run.data.tags["searchplat.state"] == trial.state
        assert run.data.tags["searchplat.stage"] == trial.stage
        values = client.get_metric_history(run.info.run_id, "valid/mrr")
        assert [metric.step for metric in values] == list(range(1, trial.epoch + 1))
        assert all(math.isfinite(metric.value) for metric in values)
        if trial.method == "darec":
            assert run.data.params["layout"] == trial.config["layout"]


@pytest.mark.slow  # starts Ray four times
def test_a_search_is_resumed_extended_forked_and_guarded(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE.replace("HIGH", "1.0"))
    assert searchplat("search", "space.yaml").returncode == 0
    with ledger("space") as record:
        first = record.trials()

    # The same command on a finished search runs nothing.
    assert searchplat("search", "space.yaml").returncode == 0
    # --trials extends it.
    assert searchplat("search", "space.yaml", "--trials", "5").returncode == 0
    with ledger("space") as record:
        assert record.trials()[:3] == first
        assert len(record.trials()) == 5

    # A changed space is refused with what changed, and nothing is written.
    space.write_text(SPACE.replace("HIGH", "0.9"))
    refused = searchplat("search", "space.yaml", "--trials", "9")
    assert refused.returncode == 2
    assert "1.0 -> 0.9" in refused.stderr
    assert "--fork" in refused.stderr
    assert "Traceback" not in refused.stderr
    with ledger("space") as record:
        assert len(record.trials()) == 5

    # --fork takes over the trials that lie in the new space.
    forked = searchplat("search", "space.yaml", "--fork", "narrower", "--trials", "6")
    assert forked.returncode == 0, forked.stderr
    with ledger("narrower") as record, ledger("space") as old:
        kept = [trial.values for trial in old.trials() if trial.values["x"] <= 0.9]
        assert [trial.values for trial in record.trials()][: len(kept)] == kept
        assert len(record.trials()) == 6

    # The same name twice at once is refused.
    folder = SearchFolder(tmp_path / "runs", "narrower")
    with folder.held():
        assert folder.running()
        busy = searchplat("search", "space.yaml", "--name", "narrower")
        assert busy.returncode == 75
        with pytest.raises(TryAgainError, match="being run by another process"), folder.held():
            pass
    assert not folder.running()


@pytest.mark.slow  # trains DARec twice
def test_one_configuration_without_ray_and_as_a_search_of_one_trial_give_the_same_metrics() -> None:
    sets = ["stages.layout.trials=1", "stages.layout.searcher.name=random", "controls=null"]
    arguments = [item for value in sets for item in ("--set", value)]
    done = searchplat("search", "darec", "--scale", "smoke", "--name", "one", *arguments, "--trials", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    with ledger("one") as record:
        trial = record.trials()[0]
        searched = [report.metrics for report in record.reports(trial.number)]
    spec = load(find_space("darec"), scale="smoke", overrides=sets)
    alone = run_one(spec, trial.config, seed=trial.seed)
    for ours, theirs in zip(alone, searched, strict=True):
        compared = [key for key in ours if not key.startswith(("time/", "memory/"))]
        assert "valid/mrr" in compared
        assert {key: ours[key] for key in compared} == {key: theirs[key] for key in compared}


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_search_with_shared_seeds_and_repeats_is_one_on_real_trials_too(tmp_path: Path) -> None:
    space = tmp_path / "again.yaml"
    space.write_text(
        SPACE.replace("HIGH", "1.0").replace("trials: 3", "trials: 6\nseeds: shared\nrepeats: {share: 0.34, top: 1}")
        + "controls: [{name: default}]\n"
    )
    done = searchplat("search", "again.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    spec = load(space)
    with ledger("again") as record:
        trials, ranking = record.trials(), Ranking.of(record)
        sent = best_trials("sqlite:///mlflow.db", "again", top=9)
    again = [trial for trial in trials if "repeats" in trial.info]
    assert len(again) == 2
    assert {trial.seed for trial in trials if trial not in again} == {shared_seed(spec)}
    for trial in again:
        assert trial.seed == shared_seed(spec, trial.info["training"])
        assert trial.config == trials[trial.info["repeats"]].config
    assert {run.trial: run.value for run in sent} == pytest.approx(
        {trial.number: (trial.objectives or ())[0] for trial in ranking.best()}
    )
    best = searchplat("best", "again")
    assert "trainings" in best.stdout
    changed = searchplat("search", "again.yaml", "--set", "seeds=own")
    assert changed.returncode == 2
    assert "seeds: 'shared' -> (none)" in changed.stderr
