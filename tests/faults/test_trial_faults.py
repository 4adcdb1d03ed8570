"""Trials that go wrong, each in its own way, beside one that does not: sorted by cause, and none harms another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3, x: 0.7}
search:
  fault: {type: categorical, choices: [FAULTS]}
searcher: {name: grid}
trials: COUNT
resources: {cpu: 1, gpu: 0, timeout_s: 5}
"""


def search(tmp_path: Path, faults: list[str]) -> tuple[subprocess.CompletedProcess[str], dict[str, tuple[str, int]]]:
    text = SPACE.replace("FAULTS", ", ".join(f'"{fault}"' for fault in faults)).replace("COUNT", str(len(faults)))
    (tmp_path / "space.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "searchplat", "search", "space.yaml"], capture_output=True, text=True, timeout=200
    )
    with Ledger.read(tmp_path / "runs" / "space" / "ledger.sqlite") as ledger:
        ends = {trial.values["fault"]: (trial.state, trial.retries) for trial in ledger.trials()}
        for trial in ledger.trials():
            epochs = [report.epoch for report in ledger.reports(trial.number)]
            assert epochs == list(range(1, trial.epoch + 1))
    return done, ends


@pytest.mark.slow
def test_each_fault_ends_in_its_own_state_and_the_search_goes_on(tmp_path: Path) -> None:
    faults = ["none", "nan", "inf", "-inf", "memory", "unfit", "kill-once", "hang-in-c"]
    done, ends = search(tmp_path, faults)
    assert done.returncode == 0, done.stderr
    assert ends["none"] == (TrialState.FINISHED, 0)
    assert ends["nan"] == ends["inf"] == ends["-inf"] == (TrialState.DIVERGED, 0)
    assert ends["memory"] == ends["unfit"] == (TrialState.INFEASIBLE, 0)
    assert ends["kill-once"] == (TrialState.FINISHED, 1)
    assert ends["hang-in-c"][0] == TrialState.TIMEOUT


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("input", "error: data toy: a planted fault of the input; mend it"),
        ("unfit", "error: no trial ended with a value: x: must fit, got 0.7; change it"),
    ],
)
def test_wrong_input_ends_the_search_with_2_and_a_sentence(tmp_path: Path, fault: str, said: str) -> None:
    done, ends = search(tmp_path, [fault])
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == said
    assert "Traceback" not in done.stdout + done.stderr
    assert ends[fault] == ((TrialState.WAITING, 0) if fault == "input" else (TrialState.INFEASIBLE, 0))
    with Ledger.read(tmp_path / "runs" / "space" / "ledger.sqlite") as ledger:
        assert ledger.events()[-1].kind == "closed"


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_bug_stops_the_search_and_shows_its_traceback(tmp_path: Path) -> None:
    done, ends = search(tmp_path, ["raise"])
    assert done.returncode == 1
    assert ends["raise"][0] == TrialState.FAILED
    assert "a planted bug" in done.stdout + done.stderr
