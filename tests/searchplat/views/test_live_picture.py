"""The live picture fits every terminal and says what matters."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.views.live_picture import LiveView, Surroundings
from searchplat.views.snapshot import Snapshot, take

AROUND = Surroundings(2, 754.0, 33.0, "http://127.0.0.1:8265", "sqlite:///mlflow.db")


def draw(snapshot: Snapshot, width: int, height: int, around: Surroundings = AROUND) -> list[str]:
    console = Console(width=width, height=height, record=True, file=io.StringIO(), force_terminal=True)
    console.print(LiveView(snapshot, around), end="")
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.fixture
def snapshot(half_done: tuple[SearchFolder, Ledger]) -> Snapshot:
    folder, ledger = half_done
    # A test's own folder may be longer than a line.
    return replace(take("first", folder.path, ledger), folder=Path("/home/me/runs/first"))


def test_at_80_by_24_everything_is_on_one_screen(snapshot: Snapshot) -> None:
    lines = draw(snapshot, 80, 24)
    screen = "\n".join(lines)
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    for expected in (
        "first  rehearsal on toy, maximize valid/mrr",
        "14 of 16 trials, 2 at once  12 min 34 s elapsed, about 33 s left",
        "4/6   100%  0.3500  trial 11",
        "1 running  12 finished  1 stopped  1 diverged",
        "best  0.3500  trial 11, epoch 3",
        "x=0.62 kind=a",
        "causal     · ■ · ■ ■ · ■ · · ■ · ■",
        "default     0.3000  +16.7 %",
        "all-serial  0.2800  +25.0 %",
        "14  weights  running     2/4  0.3200  x=0.65 kind=a",
        "http://127.0.0.1:8265",
        "sqlite:///mlflow.db",
    ):
        assert expected in screen, screen


def test_it_fits_every_size(snapshot: Snapshot) -> None:
    for width, height in product((20, 31, 40, 50, 60, 71, 72, 100, 200), (3, 8, 12, 20, 24, 50)):
        lines = draw(snapshot, width, height)
        assert 0 < len(lines) < height
        assert max(map(len, lines)) <= width


def test_little_height_costs_the_newest_trials_first_and_progress_last(snapshot: Snapshot) -> None:
    screen = "\n".join(draw(snapshot, 80, 12))
    assert "14 of 16 trials" in screen
    assert "weights" in screen
    assert "x=0.65" not in screen


def test_a_search_without_trials(empty: tuple[SearchFolder, Ledger]) -> None:
    folder, ledger = empty
    lines = draw(take("first", folder.path, ledger), 80, 24, replace(AROUND, seconds_left=None, resumed=True))
    screen = "\n".join(lines)
    assert "resumed" in screen
    assert "no estimate yet" in screen
    assert "no trial yet" in screen


def test_what_trials_say_cannot_move_the_cursor(snapshot: Snapshot) -> None:
    console = Console(width=80, height=40, file=io.StringIO(), force_terminal=True, color_system=None)
    hostile = replace(snapshot.trials[-1], values={"x": "\x1b[2J[bold]\n\u202e"})
    console.print(LiveView(replace(snapshot, trials=[*snapshot.trials[:-1], hostile]), AROUND), end="")
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2J" not in written
    assert "\\x1b[2J[bold]\\n\\u202e" in written
