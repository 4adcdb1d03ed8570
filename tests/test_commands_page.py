"""The page on commands does what it says: its example is the committed one; a search, a kill and a promotion run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searchplat.ledger import Ledger
from searchplat.programs.command import GIVEN, CommandConfig
from searchplat.programs.function import GIVEN as GIVEN_TO_FUNCTIONS
from searchplat.promotion.record import load_promotion

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "commands.md"
PEER = ROOT / "tests" / "examples" / "peer"


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page(), flags=re.DOTALL)


def test_its_space_file_is_the_committed_one() -> None:
    assert blocks("yaml") == [(PEER / "peer.yaml").read_text(encoding="utf-8")]


def test_it_names_all_fields_and_all_that_a_trial_is_given() -> None:
    text = page()
    assert [name for name in CommandConfig.model_fields if f"| `{name}` |" not in text] == []
    assert [name for name in GIVEN if f"`{{{name}}}`" not in text] == []
    assert [name for name in GIVEN_TO_FUNCTIONS if f"`{name}`" not in text] == []


def test_the_script_knows_nothing_of_us() -> None:
    assert "searchplat" not in (PEER / "train.py").read_text(encoding="utf-8")


def alive(words: str) -> list[int]:
    """Processes whose command line holds this."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                line = (path / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            found += [int(path.name)] if words in line else []
    return found


@pytest.mark.by_hand
@pytest.mark.slow  # two searches and a promotion on Ray
@pytest.mark.timeout(1200)
def test_the_example_runs_is_killed_and_goes_on(tmp_path: Path) -> None:
    shutil.copytree(PEER, tmp_path / "peer")
    os.chdir(tmp_path / "peer")
    words = [line.partition("#")[0].split() for line in "".join(blocks("bash")).splitlines()]
    check, run, search, promote = ([sys.executable, "-m", *one] for one in words)
    # Slower, so that there is something to kill.
    train = tmp_path / "peer" / "train.py"
    train.write_text(
        train.read_text().replace('"--sleep", type=float, default=0.0', '"--sleep", type=float, default=0.7')
    )
    for command in (check, run):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    marks = f"{tmp_path}/peer/runs"
    first = subprocess.Popen(search, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ledger_path = tmp_path / "peer" / "runs" / "peer" / "ledger.sqlite"
    end = time.monotonic() + 400
    while not (ledger_path.exists() and reported(ledger_path) >= 5):
        assert time.monotonic() < end
        assert first.poll() is None, first.communicate()
        time.sleep(0.3)
    scripts = [pid for pid in alive(marks) if "train.py" in Path(f"/proc/{pid}/cmdline").read_bytes().decode()]
    assert scripts
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    end = time.monotonic() + 60
    while left := [pid for pid in alive("train.py") if pid in scripts]:
        assert time.monotonic() < end, left
        time.sleep(0.2)

    done = subprocess.run(search, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    with Ledger.read(ledger_path) as ledger:
        trials = ledger.trials()
        assert len(trials) == 7
        assert all(trial.state.final and trial.objectives is not None for trial in trials)
        reports = [(one.trial, one.epoch) for one in ledger.reports()]
        assert len(reports) == len(set(reports)), "nothing twice"
        names = {name for one in ledger.reports() for name in one.metrics}
        assert {"valid/rmse", "train/rmse", "time/train_seconds"} <= names
        assert not any("test" in name for name in names)

    done = subprocess.run(promote, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    promotion = load_promotion(ledger_path.parent)
    winner = promotion.winner()
    assert winner is not None
    assert set(winner.test) == {"rmse"}
    assert (winner.folder / "work" / "model.npz").exists()
    compared = subprocess.run(
        [sys.executable, "-m", "searchplat", "compare", "peer", "--json"], capture_output=True, text=True, timeout=100
    )
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)
    assert alive(marks) == []


def reported(path: Path) -> int:
    with Ledger.read(path) as ledger:
        return len(ledger.reports())
