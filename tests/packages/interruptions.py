"""What the tests of interrupted searches share: the searches, the commands, what must be the same afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from searchplat.ledger import Ledger, TrialRecord

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 4, seconds: SECONDS, diary: DIARY}
search:
  layout: {type: layout, layers: 3, per_layer: [causal, context, recommend], choices: [serial, parallel]}
  x: {type: float, low: 0.0, high: 1.0}
stages:
  - {name: layout, over: [layout], searcher: {name: random}, trials: 5}
  - {name: weights, over: [x], searcher: {name: SEARCHER}, trials: 5, from: {stage: layout, top: 1}}
controls:
  - {name: default}
scheduler: SCHEDULER
resources: {cpu: 1, gpu: 0, concurrent: SLOTS}
"""
TRIALS = 11

# Both give the same trials whenever and wherever they are interrupted: in the one the order of events is fixed,
# in the other nothing depends on it.
IN_TURN = {"SEARCHER": "tpe", "SCHEDULER": "{name: asha, grace: 1, reduction: 2}", "SLOTS": "1"}
SIDE_BY_SIDE = {"SEARCHER": "random", "SCHEDULER": "{name: none}", "SLOTS": "2"}
WAYS = {"in turn": IN_TURN, "side by side": SIDE_BY_SIDE}


def write_space(folder: Path, way: str, seconds: float) -> Path:
    """The space file of a search in `folder`."""
    text = SPACE.replace("SECONDS", str(seconds)).replace("DIARY", str(folder / "diary.txt"))
    for word, value in WAYS[way].items():
        text = text.replace(word, value)
    path = folder / "space.yaml"
    path.write_text(text)
    return path


def command(*arguments: str, faulty: bool = False) -> list[str]:
    """The command line of `searchplat search space.yaml`."""
    return [sys.executable, "-m", "faulty_driver" if faulty else "searchplat", "search", "space.yaml", *arguments]


def whole_run(folder: Path, way: str, seconds: float = 0.0) -> list[TrialRecord]:
    """The trials of the search run from its beginning to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    write_space(folder, way, seconds)
    done = subprocess.run(command(), cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return trials_of(folder)


def ledger_path(folder: Path, name: str = "space") -> Path:
    return folder / "runs" / name / "ledger.sqlite"


def trials_of(folder: Path, name: str = "space") -> list[TrialRecord]:
    with Ledger.read(ledger_path(folder, name)) as ledger:
        return ledger.trials()


Outcome = list[tuple[Any, ...]]
Whole = Callable[[str], Outcome]
"""The outcome of a search that nobody interrupts, by its way."""


def outcome(trials: list[TrialRecord]) -> Outcome:
    """All that may not depend on interruptions: points, seeds, states, epochs (so ASHA's decisions), values."""
    return [(t.number, t.stage, t.control, t.values, t.seed, t.state, t.epoch, t.objectives) for t in trials]


def wait_until(true: Callable[[], bool], what: str, process: subprocess.Popen[Any] | None, within_s: float) -> None:
    """Wait for a condition while `process` lives."""
    deadline = time.monotonic() + within_s
    while not true():
        if process is not None and process.poll() is not None:
            said: object
            try:
                said = process.communicate(timeout=10)
            except subprocess.TimeoutExpired as error:  # a child of it holds its output open
                said = error.output, error.stderr
            pytest.fail(f"the process ended with {process.returncode} before {what}, and said {said}")
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


def event_is_there(folder: Path, seq: int) -> Callable[[], bool]:
    """Whether the ledger has come to event `seq`."""

    def there() -> bool:
        path = ledger_path(folder)
        if not path.exists():
            return False
        with Ledger.read(path) as ledger:
            return ledger.seq >= seq

    return there


@dataclass(frozen=True)
class Begun:
    """A line of the diary: an epoch that a worker began."""

    trial: int
    epoch: int
    process: int
    at: float


def diary(folder: Path) -> list[Begun]:
    path = folder / "diary.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Begun(int(t), int(e), int(p), float(at)) for t, e, p, at in (line.split() for line in lines)]


def check_nothing_lost(before: list[TrialRecord], after: list[TrialRecord]) -> None:
    """Whatever the ledger had is still there, and what had ended is untouched."""
    assert len(after) >= len(before)
    for old, new in zip(before, after, strict=False):
        assert (old.values, old.seed, old.stage) == (new.values, new.seed, new.stage)
        assert new.epoch >= old.epoch
        if old.state.final:
            assert asdict(new) == asdict(old)


def check_redone(folder: Path, interruptions: list[list[TrialRecord]]) -> Counter[int]:
    """Epochs begun twice, by trial: none of one that had ended, at most one an interruption of one that was open.

    Args:
        interruptions: The trials as they were at each.
    """
    begun = Counter((line.trial, line.epoch) for line in diary(folder))
    redone: Counter[int] = Counter()
    for (trial, _), times in begun.items():
        redone[trial] += times - 1
    ran = Counter(t.number for trials in interruptions for t in trials if not t.state.final)
    assert all(redone[trial] <= ran[trial] for trial in redone), (redone, ran)
    return +redone


def check_mlflow(folder: Path, name: str, trials: list[TrialRecord], uri: str | None = None) -> None:
    """MLflow has a run for each trial and one for the search, all of them ended, with every report once."""
    import mlflow

    client = mlflow.MlflowClient(uri or f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}
    parents = [run for run in runs if run.data.tags["searchplat.kind"] == "search"]
    assert [run.info.status for run in parents] == ["FINISHED"]
    own = {int(run.data.tags["searchplat.trial"]): run for run in runs if "searchplat.trial" in run.data.tags}
    assert len(runs) == len(trials) + 1
    assert {number: _state(run) for number, run in own.items()} == {t.number: t.state for t in trials}
    for trial in trials:
        rows = client.get_metric_history(own[trial.number].info.run_id, "valid/mrr")
        steps = Counter(row.step for row in rows)
        assert set(steps.values()) <= {1}, f"trial {trial.number} has steps twice: {steps}"


def _state(run: Any) -> str:
    return str(run.data.tags.get("searchplat.state", "none"))


def environment(**more: str) -> dict[str, str]:
    """This process's environment with more in it."""
    return {**os.environ, **more}
