"""Searches whose trials are trained by two processes each: as by one, whatever becomes of either of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from interruptions import ledger_path, trials_of, wait_until
from shared_method import begun

from searchplat.ledger import Ledger, TrialRecord

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SPACE = """
method: shared_method:Shared
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3, hidden_size: 16, inner_size: 32, dropout: 0.0, batch_size: 32, diary: DIARY, MORE}
search: {learning_rate: {type: float, low: 1e-3, high: 1e-2, log: true}}
searcher: {name: random}
trials: 2
controls: [{name: popularity, method: popularity}]
resources: {cpu: 0.5, gpu: 0, workers: WORKERS, concurrent: 1TIMEOUT}
"""


def search(folder: Path, workers: int, *, more: str = "fault: none", timeout: str = "") -> list[str]:
    """Write the space; the command that searches it."""
    text = SPACE.replace("DIARY", str(folder / "diary")).replace("WORKERS", str(workers)).replace("MORE", more)
    (folder / "space.yaml").write_text(text.replace("TIMEOUT", timeout))
    return [sys.executable, "-m", "searchplat", "search", "space.yaml", "--allow-import"]


def run(folder: Path, workers: int, **options: Any) -> list[TrialRecord]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(search(folder, workers, **options), cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return trials_of(folder)


def figures(folder: Path) -> dict[tuple[int, int], dict[str, float]]:
    """What every epoch of every trial reported of losses and ranks."""
    with Ledger.read(ledger_path(folder)) as ledger:
        return {
            (report.trial, report.epoch): {
                name: value for name, value in report.metrics.items() if name.startswith(("train/", "valid/"))
            }
            for report in ledger.reports()
        }


def check_same(found: Path, expected: Path) -> None:
    ours, theirs = figures(found), figures(expected)
    assert ours.keys() == theirs.keys()
    for place, metrics in theirs.items():
        assert ours[place] == pytest.approx(metrics, rel=1e-4, abs=2e-3), place


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The search with trials of one process each."""
    folder = tmp_path_factory.mktemp("alone")
    run(folder, 1)
    return folder


def none_left(folder: Path) -> bool:
    """Whether no process that trained is there any more, soon after the command: killed ones take a moment to go."""
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{line.process}").exists() for line in begun(folder / "diary")):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.by_hand
def test_a_search_by_two_workers_a_trial_reports_what_one_by_one_does(tmp_path: Path, alone: Path) -> None:
    trials = run(tmp_path, 2)
    assert [trial.state for trial in trials] == ["finished"] * 3
    check_same(tmp_path, alone)
    lines = begun(tmp_path / "diary")
    assert {line.rank for line in lines} == {0, 1}
    assert len({line.process for line in lines}) == 2  # kept from trial to trial
    assert none_left(tmp_path)


@pytest.mark.by_hand
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_killed_takes_the_other_along_and_the_trial_is_taken_up_again(
    tmp_path: Path, alone: Path, rank: int
) -> None:
    trials = run(tmp_path, 2, more=f"fault: kill-once, fault_rank: {rank}")
    searched = [(trial.state, trial.retries) for trial in trials if trial.control is None]
    assert searched == [("finished", 1)] * 2
    check_same(tmp_path, alone)
    # After a death both processes are new.
    assert len({line.process for line in begun(tmp_path / "diary")}) == 6
    assert none_left(tmp_path)


@pytest.mark.by_hand
def test_a_search_goes_on_with_another_number_of_workers(tmp_path: Path, alone: Path) -> None:
    process = subprocess.Popen(
        search(tmp_path, 2, more="fault: slow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: any(line.epoch == 2 for line in begun(tmp_path / "diary")), "epoch 2", process, 200)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, out + err
    assert none_left(tmp_path)
    with_one = run(tmp_path, 1, more="fault: slow")
    assert [trial.state for trial in with_one] == ["finished"] * 3
    check_same(tmp_path, alone)


@pytest.mark.by_hand
@pytest.mark.parametrize(
    ("fault", "state", "code", "said"),
    [
        ("raise", "failed", 1, "a planted bug"),
        ("memory", "infeasible", 1, "out of memory"),
        ("hang", "timeout", 1, "silent for 6"),
    ],
)
def test_what_one_worker_fails_for_the_trial_fails_for(
    tmp_path: Path, fault: str, state: str, code: int, said: str
) -> None:
    command = search(tmp_path, 2, more=f"fault: {fault}", timeout=", timeout_s: 6" if fault == "hang" else "")
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == code, done.stdout + done.stderr  # no searched trial has a value in any of these
    trial = next(trial for trial in trials_of(tmp_path) if trial.control is None)
    assert (trial.state, trial.retries) == (state, 1 if fault == "hang" else 0)
    assert said in (trial.cause or "")
    assert none_left(tmp_path)
