"""A search whose trials are each killed once, with SIGKILL: what a lost worker costs.

    python tests/benchmarks/killed_trials.py                12 trials, 2 at once
    python tests/benchmarks/killed_trials.py --rounds 3     three searches, one after the other

Trials are five epochs that sleep for 0.4 s, and die in their second. Figures are of the time from the first trial's
start to the last one's end; without kills it would be the sleep, divided by the slots. To compare two versions, run
the command in a work tree of each, in turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

PACKAGES = str(Path(__file__).parents[1] / "packages")
sys.path.insert(0, PACKAGES)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH")]))

from searches import one_stage, rehearsal_spec

from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Resources

EPOCHS, SECONDS = 5, 0.4


def span(folder: Path, trials: int, slots: int) -> float:
    """Seconds of one search, from its first start to its last end."""
    spec = rehearsal_spec(
        {"epochs": EPOCHS, "seconds": SECONDS, "fault": "kill-once"},
        resources=Resources(cpu=(os.cpu_count() or 1) / slots, gpu=0, concurrent=slots),
    )
    spec = one_stage(replace(spec, seed=1), trials)
    outcome = run_search(spec, name="killed", places=Places(runs=folder, tracking_uri=f"sqlite:///{folder}/mlflow.db"))
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        done = ledger.trials()
        assert all(trial.state is TrialState.FINISHED and trial.epoch == EPOCHS for trial in done)
        events = ledger.events(limit=10_000)
    killed = sum(trial.retries for trial in done)
    assert killed == trials, f"{killed} retries of {trials} trials: not each was killed once"
    starts = [event.at for event in events if event.kind == "started"]
    return max(event.at for event in events if event.kind == "ended") - min(starts)


def main() -> None:
    """Run the searches and print their seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    ideal = arguments.trials * EPOCHS * SECONDS / arguments.slots
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            seconds = span(Path(folder), arguments.trials, arguments.slots)
        print(f"{arguments.trials} trials, each killed once: {seconds:.1f} s; without kills {ideal:.1f} s", flush=True)


if __name__ == "__main__":
    main()
