"""What a trial costs beside its training: ours in a warm actor, and as a plain Ray Tune function.

    python tests/benchmarks/warm_trials.py            DARec, 2 layers of SmolLM2, ML-100K

Both train the same configurations with the same code on one slot, ours through `run_search`, plain as a function
trainable that loads the same data and backbone and reports each epoch. Overhead is the wall time from the end of
one trial to the end of the next, less the seconds spent training and evaluating; the first trial of each is left out.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from plain_tune import QUIET

from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.engine.worker.environment import quiet_environment
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.ledger import Ledger
from searchplat.spec import find_space, load

SETS = (
    "stages.layout.trials=6",
    "stages.layout.data_fraction=0.05",
    "stages.weights.trials=1",
    "stages.weights.data_fraction=0.05",
    "stages.layout.searcher.name=random",
    "epochs=1",
    "resources.concurrent=1",
    "resources.gpu=0",
    # What is timed is the engine: these two are a second of the method's own preparations in every trial.
    "condition_states=none",
    "item_start=noise",
)


def ours(folder: Path) -> list[tuple[float, float]]:
    """End (unix seconds) and training seconds of every DARec trial, in the order in which they ended."""
    spec = load(find_space("darec"), scale="quick", overrides=SETS)
    outcome = run_search(
        spec, name="warm", trials=7, places=Places(runs=folder, tracking_uri=f"sqlite:///{folder}/mlflow.db")
    )
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        ends = {event.trial: event.at for event in ledger.events(limit=10_000) if event.kind == "ended"}
        trials = [trial for trial in ledger.trials() if trial.method == "darec"]
        (folder / "orders.json").write_text(json.dumps([trial.config for trial in trials]))
        rows = []
        for trial in trials:
            metrics = ledger.report_at(trial.number, 1).metrics
            rows.append((ends[trial.number], metrics["time/train_seconds"] + metrics["time/evaluate_seconds"]))
    return rows


def plain(folder: Path) -> list[tuple[float, float]]:
    """The same by `tune.Tuner` with a function trainable."""
    os.environ.update(QUIET)
    import ray
    from ray import tune

    configs = json.loads((folder / "orders.json").read_text())
    log = folder / "plain.jsonl"

    def train(config: dict[str, Any]) -> None:
        from searchplat.contract import WarmCache

        order = Order(
            number=config["index"], method="darec", config=configs[config["index"]], data="ml-100k",
            data_options={"attributes": ["title"]}, data_fraction=0.05, data_seed=1, seed=config["index"],
            folder=str(folder / "plain" / str(config["index"])),
        )  # fmt: skip
        metrics = TrialRun(order, WarmCache()).step().metrics
        tune.report({"mrr": metrics["valid/mrr"]})
        with log.open("a") as file:
            spent = metrics["time/train_seconds"] + metrics["time/evaluate_seconds"]
            file.write(json.dumps([time.time(), spent]) + "\n")

    ray.init(log_to_driver=False, include_dashboard=False, runtime_env={"env_vars": quiet_environment()})
    try:
        tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space={"index": tune.grid_search(list(range(len(configs))))},
            tune_config=tune.TuneConfig(max_concurrent_trials=1),
            run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
        ).fit()
    finally:
        ray.shutdown()
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()]


def overheads(rows: list[tuple[float, float]]) -> list[float]:
    """Seconds from one end to the next, less training."""
    rows = sorted(rows)
    return [end - before - spent for (before, _), (end, spent) in itertools.pairwise(rows)]


def main() -> None:
    """Print both and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        mine = overheads(ours(Path(name)))
        theirs = overheads(plain(Path(name)))
    a, b = statistics.median(mine), statistics.median(theirs)
    print(f"searchplat, warm actor:   median {a:.2f} s beside training ({', '.join(f'{x:.2f}' for x in mine)})")
    print(f"plain Tune function:      median {b:.2f} s beside training ({', '.join(f'{x:.2f}' for x in theirs)})")
    print(f"ratio {a / b:.3f} (bound: 0.083)")


if __name__ == "__main__":
    sys.exit(main())
