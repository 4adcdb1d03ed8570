"""`searchplat search` from the first line to the summary, on a real Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.views.output import show
from searchplat.views.snapshot import take
from searchplat.views.summary import summary


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "searchplat", "search", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, "COLUMNS": "80"})


@pytest.mark.slow
def test_a_search_from_its_first_line_to_its_summary(space: Path) -> None:
    first = run("space.yaml", "--name", "small", "--trials", "3", "--set", "epochs=1")
    assert first.returncode == 0, first.stderr
    assert "small: rehearsal on toy; 5 trials, " in first.stdout
    assert "stage layout begins" in first.stdout
    assert "5 of 5 ended: 5 finished" in first.stdout
    assert "searchplat best small --top 5" in first.stdout
    assert first.stderr == ""

    again = run("space.yaml", "--name", "small", "--set", "epochs=2")
    assert again.returncode == 2
    assert "was started with another space" in again.stderr
    assert "fixed.epochs: 1 -> 2" in again.stderr


@pytest.fixture
def screen(half_done: tuple[SearchFolder, Ledger], capsys: pytest.CaptureFixture[str]) -> str:
    folder, ledger = half_done
    show(
        summary(
            take("first", folder.path, ledger),
            wall_seconds=75,
            tracking_uri=f"sqlite:///{Path.cwd()}/mlflow.db",
            unsent_rows=3,
        )
    )
    return capsys.readouterr().out


def test_the_summary_fits_one_screen_and_sets_the_best_beside_the_controls(screen: str) -> None:
    lines = screen.splitlines()
    assert len(lines) <= 24
    for expected in (
        "best    valid/mrr 0.3500  trial 11, epoch 3",
        "control default                   0.3000  beaten by +16.7 %",
        "14 of 16 ended: 1 running, 12 finished, 1 stopped, 1 diverged",
        "1 min 15 s",
        "/mlflow.db (3 rows unsent; later: searchplat sync first)",
        "searchplat search ",
    ):
        assert expected in screen


def test_a_control_that_was_not_beaten_is_called_so(
    half_done: tuple[SearchFolder, Ledger], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ledger = half_done
    number = ledger.suggest(
        stage="controls", control="popularity", method="popularity", values={}, config={"epochs": 1},
        data_fraction=1.0, seed=0,
    ).number  # fmt: skip
    ledger.report(number, 1, {"valid/mrr": 0.7})
    ledger.end(number, ledger.trial(0).state)
    show(summary(take("first", folder.path, ledger), wall_seconds=1, tracking_uri="x"))
    said = capsys.readouterr().out
    assert "control popularity                0.7000  NOT beaten: -50.0 %" in said
    assert "        below the control popularity (0.7000)" in said
