"""How busy many slots are kept: trials of 1 to 5 s that sleep, 64 at once.

    python tests/benchmarks/slots.py                        TPE and PR, 64 slots, 1,000 trials each
    python tests/benchmarks/slots.py --slots 16 --trials 200 --searcher pr

Utilisation is the share of the slots' time in which trials were at work. It is measured on a stage that begins when all
workers are there (a stage of random trials goes before it, since 64 processes take minutes to start on two cores), from
its 64th trial on until the last one is handed out. Searched are nine bits of a layout and a number; how long a trial
takes depends on its seed alone, so that no searcher chooses short ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

PACKAGES = str(Path(__file__).parents[1] / "packages")
sys.path.insert(0, PACKAGES)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH")]))

from rehearsal import sleep_s
from searches import LAYOUT, X, rehearsal_spec

from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.ledger import Ledger
from searchplat.spec.model import Resources, SearcherSpec, StageSpec
from searchplat.spec.space import Space


@dataclass(frozen=True)
class Seen:
    """One search: what its slots and its searcher did."""

    utilisation: float
    trials_a_second: float
    workers: int
    suggestion_s: float
    unsent: int
    wall_s: float

    def __str__(self) -> str:
        return (
            f"utilisation {self.utilisation:.3f}, "
            f"{self.trials_a_second:.1f} trials/s, {self.workers} workers, "
            f"{self.suggestion_s * 1000:.0f} ms a suggestion (median), {self.unsent} of "
            f"MLflow's rows missing at the end, {self.wall_s:.0f} s in all"
        )


def measure(searcher: str, slots: int, trials: int, warm: int, folder: Path) -> Seen:
    """Run one search and read its diary."""
    diary = folder / "diary"
    cpus = os.cpu_count() or 1
    spec = rehearsal_spec(
        {"epochs": 1, "diary": str(diary), "seconds": 1.0, "seconds_more": 4.0},
        resources=Resources(cpu=cpus / slots, gpu=0, concurrent=slots),
    )
    space = Space((LAYOUT, X))
    stages = (
        StageSpec("warm", space.names, SearcherSpec("random"), warm, priority=1),
        StageSpec("search", space.names, SearcherSpec(searcher), trials),
    )
    spec = replace(spec, space=space, stages=stages)
    began = time.time()
    outcome = run_search(
        spec, name=f"slots-{searcher}", places=Places(runs=folder, tracking_uri=f"sqlite:///{folder}/mlflow.db")
    )
    wall = time.time() - began
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        done = {trial.number: trial for trial in ledger.trials()}
    rows = [(int(number), process, float(at)) for number, _, process, at in map(str.split, diary.open())]
    work = {number: (at, at + sleep_s(done[number].seed, 1.0, 4.0)) for number, _, at in rows}
    begun = sorted(work[number][0] for number, trial in done.items() if trial.stage == "search")
    start, end = begun[slots - 1], begun[-1]
    workers = {process for _, process, at in rows if at < start}
    assert len(workers) >= slots, f"only {len(workers)} workers were there before the stage began: --warm more"
    busy = sum(max(0.0, min(to, end) - max(since, start)) for since, to in work.values())
    return Seen(
        utilisation=busy / (slots * (end - start)),
        trials_a_second=len(begun[slots:]) / (end - start),
        workers=len(workers),
        suggestion_s=statistics.median(
            float(trial.info.get("seconds", 0)) for trial in done.values() if trial.stage == "search"
        ),
        unsent=outcome.unsent_rows,
        wall_s=wall,
    )


def main() -> int:
    """Measure each searcher."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--warm", type=int, default=1_200, help="random trials before, until all workers are there")
    parser.add_argument("--searcher", nargs="+", default=["tpe", "pr"])
    arguments = parser.parse_args()
    for searcher in arguments.searcher:
        with tempfile.TemporaryDirectory() as folder:
            seen = measure(searcher, arguments.slots, arguments.trials, arguments.warm, Path(folder))
        print(f"{searcher}, {arguments.slots} slots, {arguments.trials} trials: {seen}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
