"""How long the driver works on one report: writing it durably and judging it. Tune's own event loop is not in it.

    python tests/benchmarks/reports.py

A search of 200 trials x 20 reports under ASHA, and the same on a ledger that holds 10,000 trials already.
Prints milliseconds a report, and for comparison the disk's own time for a durable write.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "packages"))

from searches import one_stage, rehearsal_spec

from searchplat.engine.judging.judge import Judge
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.worker.messages import Message, Said
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import SchedulerSpec

EPOCHS, TRIALS = 20, 200


def measure(folder: Path, already: int) -> list[float]:
    """Seconds of every report of a search whose ledger holds `already` finished trials."""
    spec = one_stage(rehearsal_spec(scheduler=SchedulerSpec("asha", grace=1, reduction=3)), TRIALS)
    path = folder / f"{already}.sqlite"
    with Ledger.create(path, {}, spec.objectives) as ledger:
        fill(ledger, already)
        judge = Judge(spec, ledger, {"search": EPOCHS}, lambda trial: None, lambda trial: None, Shutdown())
        seconds = []
        for index in range(TRIALS):
            trial = ledger.suggest(
                stage="search", method="rehearsal", values={"x": 0.5}, config={}, data_fraction=1.0, seed=0
            )
            ledger.start(trial.number)
            for epoch in range(1, EPOCHS + 1):
                metrics = {"valid/mrr": (index * 7 % 11) / 11 + epoch / 100, "train/loss": 1.0, "valid/ndcg@10": 0.1}
                message = Message(Said.REPORT, epoch, EPOCHS, metrics)
                began = time.perf_counter()
                goes_on = judge.goes_on(trial.number, message)
                seconds.append(time.perf_counter() - began)
                if not goes_on:
                    break
    return seconds


def fill(ledger: Ledger, trials: int) -> None:
    """Put finished trials into the ledger, in one transaction for speed."""
    rows = [
        (n, "other", "rehearsal", "{}", "{}", 1.0, 0, "{}", 0, n, TrialState.FINISHED, n, 1, "[0.1]")
        for n in range(trials)
    ]
    with sqlite3.connect(ledger.path) as connection:
        connection.executemany(
            "INSERT INTO trials (number, stage, method, assigned, config, data_fraction, seed, info, based_on,"
            " suggested_at, state, ended_at, epoch, objectives) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()
    ledger.trials()


def durable_write(folder: Path) -> float:
    """Median seconds of appending 200 bytes and waiting for the disk."""
    seconds = []
    with (folder / "probe").open("wb") as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(b"x" * 200)
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = durable_write(folder)
        print(f"durable write of 200 bytes, median: {disk * 1e3:.2f} ms")
        for already in (0, 10_000):
            seconds = sorted(measure(folder, already))
            median, high = statistics.median(seconds), seconds[int(0.95 * len(seconds))]
            print(
                f"{already:>6} trials before: {len(seconds)} reports, median {median * 1e3:.2f} ms, "
                f"95th percentile {high * 1e3:.2f} ms, {median / disk:.1f} durable writes (bound: 10 ms)"
            )


if __name__ == "__main__":
    main()
