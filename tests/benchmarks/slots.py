"""How busy many slots are kept: trials of 1 to 5 s that sleep, 64 at once.

    python tests/benchmarks/slots.py                        TPE and PR, 64 slots, 3,000 trials each
    python tests/benchmarks/slots.py --slots 16 --trials 200 --searcher pr

Utilisation is the share of the slots' time in which trials were at work, from when every slot had its first trial until
the last trial was handed out: workers take their time to start, and at the end there is nothing left to hand out.
Searched are nine bits of a layout and a number; how long a trial takes depends on its seed alone, so that no searcher
chooses short ones.
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

from searchplat.engine.search import run_search
from searchplat.ledger import Ledger
from searchplat.spec.model import Resources, SearcherSpec, Space, StageSpec


@dataclass(frozen=True)
class Seen:
    """One search: what its slots and its searcher did."""

    utilisation: float
    whole: float
    trials_a_second: float
    workers: int
    suggestion_s: float
    wall_s: float

    def __str__(self) -> str:
        return (
            f"utilisation {self.utilisation:.3f} (with start and end {self.whole:.3f}), "
            f"{self.trials_a_second:.1f} trials/s, {self.workers} workers, "
            f"{self.suggestion_s * 1000:.0f} ms a suggestion (median), {self.wall_s:.0f} s in all"
        )


def measure(searcher: str, slots: int, trials: int, folder: Path) -> Seen:
    """Run one search and read its diary."""
    diary = folder / "diary"
    cpus = os.cpu_count() or 1
    spec = rehearsal_spec(
        {"epochs": 1, "diary": str(diary), "seconds": 1.0, "seconds_more": 4.0},
        resources=Resources(cpu=cpus / slots, gpu=0, concurrent=slots),
    )
    space = Space((LAYOUT, X))
    stage = StageSpec("search", space.names, SearcherSpec(searcher), trials)
    spec = replace(spec, space=space, stages=(stage,))
    began = time.time()
    outcome = run_search(spec, name=f"slots-{searcher}", runs=folder, tracking_uri=f"sqlite:///{folder}/mlflow.db")
    wall = time.time() - began
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        done = {trial.number: trial for trial in ledger.trials()}
    rows = [line.split() for line in diary.read_text().splitlines()]
    work = sorted((float(at), float(at) + sleep_s(done[int(number)].seed, 1.0, 4.0)) for number, _, _, at in rows)
    first_of: dict[str, float] = {}
    for _, _, process, at in sorted(rows, key=lambda row: float(row[3])):
        first_of.setdefault(process, float(at))
    start = sorted(first_of.values())[min(slots, len(first_of)) - 1]
    end = work[-1][0]
    busy = sum(max(0.0, min(to, end) - max(since, start)) for since, to in work)
    return Seen(
        utilisation=busy / (slots * (end - start)),
        whole=sum(to - since for since, to in work) / (slots * (max(to for _, to in work) - work[0][0])),
        trials_a_second=sum(start <= since <= end for since, _ in work) / (end - start),
        workers=len(first_of),
        suggestion_s=statistics.median(float(trial.info.get("seconds", 0)) for trial in done.values()),
        wall_s=wall,
    )


def main() -> int:
    """Measure each searcher."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--trials", type=int, default=3_000)
    parser.add_argument("--searcher", nargs="+", default=["tpe", "pr"])
    arguments = parser.parse_args()
    for searcher in arguments.searcher:
        with tempfile.TemporaryDirectory() as folder:
            seen = measure(searcher, arguments.slots, arguments.trials, Path(folder))
        print(f"{searcher}, {arguments.slots} slots, {arguments.trials} trials: {seen}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
