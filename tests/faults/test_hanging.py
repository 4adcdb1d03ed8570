"""A trial that hangs, asleep or busy in C, is killed in time, and its slot is used again."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from interruptions import command, diary, ledger_path

from searchplat.ledger import Ledger

TIMEOUT_S = 4.0
SPACE = f"""
method: rehearsal
data: {{name: toy}}
objective: {{metric: valid/mrr, direction: maximize}}
fixed: {{epochs: 2, x: 0.7, diary: DIARY}}
search: {{fault: {{type: categorical, choices: [hang, busy-in-c, none]}}}}
searcher: {{name: grid}}
trials: 3
resources: {{cpu: 1, gpu: 0, concurrent: 1, timeout_s: {TIMEOUT_S}}}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hanging_trial_is_killed_within_five_seconds_of_its_time_and_the_next_one_runs(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.replace("DIARY", str(tmp_path / "diary.txt")))
    process = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    gone: dict[int, float] = {}
    while process.poll() is None:
        for line in diary(tmp_path):
            if line.epoch == 2 and line.trial not in gone and not _lives(line.process):
                gone[line.trial] = time.time() - line.at
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    with Ledger.read(ledger_path(tmp_path)) as ledger:
        trials = {trial.values["fault"]: trial for trial in ledger.trials()}
        events = ledger.events(limit=10_000)
    assert {fault: trial.state for fault, trial in trials.items()} == {
        "hang": "timeout", "busy-in-c": "timeout", "none": "finished",
    }  # fmt: skip
    for fault, where in (("hang", "_fault"), ("busy-in-c", "re/__init__.py")):
        trial = trials[fault]
        assert (trial.epoch, trial.retries) == (1, 1)
        assert where in (trial.cause or "")  # the stacks of its threads
        # Of the end of a process the operating system knows: busy machines notice it later.
        assert TIMEOUT_S <= gone[trial.number] + 0.5 <= TIMEOUT_S + 5.5
        noticed = next(e.at for e in events if e.kind == "retried" and e.trial == trial.number)
        told = next(e.at for e in events if e.kind == "ended" and e.trial == trial.number)
        began = next(line.at for line in diary(tmp_path) if line.trial == trial.number and line.epoch == 2)
        print(
            f"{fault}: killed {gone[trial.number]:.1f} s after its epoch began with timeout_s {TIMEOUT_S:g}, "
            f"noticed after {noticed - began:.1f} s, ended in the ledger after {told - began:.1f} s"
        )


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
