"""A long search of trials that sleep: what the platform adds to them, and how that grows with their number.

    python tests/benchmarks/long_search.py                         10,000 trials x 20 reports, 64 at once: over an hour
    python tests/benchmarks/long_search.py --trials 500 --against-tune  the same, smaller, and plain Ray Tune beside it

Ideal is the time that the epochs sleep, divided by the slots. Figures are of the time from the first trial's start to
the last one's end. Plain Ray Tune runs the same trials with its own Optuna searcher, its MLflow callback and
`reuse_actors`, into a store of the same kind.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

PACKAGES = str(Path(__file__).parents[1] / "packages")
sys.path.insert(0, PACKAGES)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH")]))

from plain_tune import QUIET
from searches import one_stage, rehearsal_spec

from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Resources


def ours(folder: Path, trials: int, epochs: int, slots: int, seconds: float) -> None:
    """Run and print ours."""
    cpus = os.cpu_count() or 1
    spec = rehearsal_spec(
        {"epochs": epochs, "seconds": seconds}, resources=Resources(cpu=cpus / slots, gpu=0, concurrent=slots)
    )
    spec = replace(one_stage(spec, trials, "tpe"), seed=1)
    uri = f"sqlite:///{folder}/mlflow.db"
    began = time.time()
    outcome = run_search(spec, name="long", places=Places(runs=folder, tracking_uri=uri))
    wall = time.time() - began
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        done = ledger.trials()
        assert all(trial.state is TrialState.FINISHED and trial.epoch == epochs for trial in done)
        started: dict[int, float] = {}
        ended: list[float] = []
        after = 0
        while events := ledger.events(after, 10_000):
            after = events[-1].seq
            for event in events:
                if event.kind == "started" and event.trial is not None:
                    started.setdefault(event.trial, event.at)
                elif event.kind == "ended":
                    ended.append(event.at)
    span = max(ended) - min(started.values())
    ideal = trials * epochs * seconds / slots
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"searchplat: {trials} trials x {epochs} reports, {slots} at once: {span:.0f} s, {span / ideal:.3f} of the "
        f"ideal {ideal:.0f} s ({wall:.0f} s with Ray's start and end); {trials * epochs / span:.1f} reports/s; driver "
        f"{memory:.2f} GiB; MLflow {outcome.unsent_rows} rows behind at the end, {arrived(uri, 'long')} of "
        f"{trials * (epochs + 1)} runs and points there",
        flush=True,
    )
    tenths(min(started.values()), ended)


def tenths(began: float, ended: list[float]) -> None:
    """Print how long each tenth of the trials took."""
    step = max(1, len(ended) // 10)
    marks = [later - earlier for earlier, later in itertools.pairwise([began, *sorted(ended)[step - 1 :: step]])]
    print(f"  seconds of each tenth of the trials: {', '.join(f'{mark:.0f}' for mark in marks)}", flush=True)


def arrived(uri: str, experiment: str) -> int:
    """Trial runs, and points of the objective's curve, that MLflow's store holds."""
    import sqlite3

    with sqlite3.connect(uri.removeprefix("sqlite:///")) as store:
        runs = store.execute("SELECT count(*) FROM tags WHERE key = 'searchplat.kind' AND value = 'trial'").fetchone()[
            0
        ]
        points = store.execute("SELECT count(*) FROM metrics WHERE key = 'valid/mrr'").fetchone()[0]
    return int(runs + points)


def plain(folder: Path, trials: int, epochs: int, slots: int, seconds: float) -> None:
    """Run and print plain Ray Tune."""
    os.environ.update(QUIET)
    import logging

    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    class Sleeper(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.x, self.epoch = new_config["x"], 0
            return True

        def step(self) -> dict[str, Any]:
            time.sleep(seconds)
            self.epoch += 1
            score = 0.5 - (self.x - 0.7) ** 2 - 0.1 / self.epoch
            return {"score": score, "loss": 1 / self.epoch, "done": self.epoch >= epochs}

    cpus = os.cpu_count() or 1
    uri = f"sqlite:///{folder}/mlflow.db"
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        began = time.time()
        grid = tune.Tuner(
            tune.with_resources(Sleeper, {"cpu": cpus / slots}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                num_samples=trials,
                reuse_actors=True,
                search_alg=ConcurrencyLimiter(OptunaSearch(), max_concurrent=slots),
            ),
            run_config=tune.RunConfig(
                name="plain",
                storage_path=str(folder),
                verbose=0,
                callbacks=[MLflowLoggerCallback(tracking_uri=uri, experiment_name="plain")],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
        wall = time.time() - began
        assert grid.num_errors == 0, grid.errors[0]
        ended = [float(result.metrics["timestamp"]) for result in grid]
    finally:
        ray.shutdown()
    ideal = trials * epochs * seconds / slots
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"Ray Tune with its Optuna searcher and MLflow callback: {wall:.0f} s with the start of its workers, "
        f"{wall / ideal:.3f} of the ideal; driver {memory:.2f} GiB",
        flush=True,
    )
    tenths(began, ended)


def main() -> int:
    """Run ours, and the other if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.28, help="an epoch; 64 slots then report 50 times a second")
    parser.add_argument("--against-tune", action="store_true")
    arguments = parser.parse_args()
    size = (arguments.trials, arguments.epochs, arguments.slots, arguments.seconds)
    for run in (ours, plain) if arguments.against_tune else (ours,):
        with tempfile.TemporaryDirectory() as folder:
            if os.fork() == 0:  # a process of its own: peak memory is counted from its start
                run(Path(folder), *size)
                os._exit(0)
            _, status = os.wait()
            if status:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
