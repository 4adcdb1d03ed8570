"""Watching a search: lines that follow the ledger, and a terminal that is given back."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from searchplat.engine.monitor import RunInfo, SearchOutcome
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import SearchSpec
from searchplat.views.live_picture import LiveView, Surroundings
from searchplat.views.monitors import LiveMonitor, PlainMonitor, watching
from searchplat.views.snapshot import take

Search = tuple[SearchFolder, Ledger]


def info(search: Search, spec: SearchSpec, resumed: bool = True) -> RunInfo:
    folder, ledger = search
    return RunInfo(
        "first", folder.path, ledger, spec, "http://127.0.0.1:8265", "http://me:secret@host/", lambda: 2, 16, resumed
    )


def outcome(search: Search) -> SearchOutcome:
    return SearchOutcome("first", "done", 0, search[1].path, "done")


def test_lines_follow_what_happens(half_done: Search, spec: SearchSpec) -> None:
    out = io.StringIO()
    monitor = PlainMonitor(out)
    monitor.prepare("fetching \x1b[2J")
    monitor.start(info(half_done, spec))
    ledger = half_done[1]
    ledger.report(14, 4, {"valid/mrr": 0.9})
    ledger.end(14, TrialState.FINISHED)
    trial = ledger.suggest(
        stage="weights", method="rehearsal", values={"x": 0.5}, config={"epochs": 4}, data_fraction=1.0, seed=1
    )
    ledger.start(trial.number)
    ledger.end(trial.number, TrialState.FAILED, "Traceback (most recent call last):\nRuntimeError: \x1b[31mno")
    monitor.stop(outcome(half_done))
    lines = out.getvalue().splitlines()
    assert lines[0] == "fetching \\x1b[2J ..."
    assert lines[1] == "first: rehearsal on toy; 16 trials, 14 of them ended already, 2 at once"
    assert "http://***@host/" in lines[2]
    assert "secret" not in out.getvalue()
    assert lines[3].startswith(
        "trial 14 weights: finished, valid/mrr 0.9000 at epoch 4, 2.5 s; the best so far  [15/16"
    )
    assert lines[4].startswith("trial 15 weights: failed, 0.0 s (RuntimeError: \\x1b[31mno)  [16/16]")
    assert len(lines) == 5


def test_a_stage_that_begins_gets_a_line(empty: Search, spec: SearchSpec) -> None:
    out = io.StringIO()
    monitor = PlainMonitor(out)
    monitor.start(info(empty, spec, resumed=False))
    trial = empty[1].suggest(
        stage="layout", method="rehearsal", values={}, config={"epochs": 4}, data_fraction=0.2, seed=1
    )
    empty[1].start(trial.number)
    monitor.stop(outcome(empty))
    assert out.getvalue().splitlines()[-1] == "stage layout begins"


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
def test_the_picture_is_drawn_and_taken_away(half_done: Search, spec: SearchSpec, size: tuple[int, int]) -> None:
    file = io.StringIO()
    monitor = LiveMonitor(Console(file=file, width=size[0], height=size[1], force_terminal=True, color_system=None))
    monitor.prepare("starting Ray")
    monitor.start(info(half_done, spec))
    monitor.event("a worker died")
    deadline = time.monotonic() + 20
    while "14 of 16 trials" not in file.getvalue():
        assert time.monotonic() < deadline, file.getvalue()
        time.sleep(0.02)
    monitor.stop(outcome(half_done))
    written = file.getvalue()
    assert written.startswith("starting Ray ...")
    assert "secret" not in written
    assert written.count("\x1b[?25h") == written.count("\x1b[?25l") == 1, "the cursor must be shown again"


def test_a_search_that_fails_while_preparing_gives_the_terminal_back(tmp_path: Path) -> None:
    def fail() -> None:
        with watching(io.StringIO(), quiet=False) as monitor:
            monitor.prepare("fetching")
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        fail()


def test_quiet_is_quiet(half_done: Search, spec: SearchSpec) -> None:
    out = io.StringIO()
    with watching(out, quiet=True) as monitor:
        monitor.prepare("x")
        monitor.start(info(half_done, spec))
        monitor.event("x")
        monitor.stop(outcome(half_done))
    assert out.getvalue() == ""


def test_what_is_asked_of_a_search_is_a_line_and_a_pause_stands_in_the_picture(
    half_done: Search, spec: SearchSpec
) -> None:
    out = io.StringIO()
    monitor = PlainMonitor(out)
    monitor.start(info(half_done, spec))
    half_done[1].note("paused", {"request": "1", "said": "paused by \x1b[2Jann@host", "by": "ann@host", "now": False})
    monitor.stop(outcome(half_done))
    assert out.getvalue().splitlines()[-1] == "paused by \\x1b[2Jann@host"
    shown = LiveView(
        take("first", half_done[0].path, half_done[1], spec), Surroundings(2, 1.0, None, None, None), height=40
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(shown)
    assert "PAUSED" in console.file.getvalue()  # type: ignore[attr-defined]
    half_done[1].note("opened", {})
    assert take("first", half_done[0].path, half_done[1], spec).paused is None
