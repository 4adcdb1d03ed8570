"""`searchplat status --watch`: from another process, until the driver lets go of the search."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState

Run = Callable[..., Result]
Search = tuple[SearchFolder, Ledger]


def command(runs: Path) -> list[str]:
    return [sys.executable, "-m", "searchplat", "status", "first", "--watch", "--runs", str(runs)]


def test_lines_follow_the_driver_and_end_with_it(half_done: Search) -> None:
    folder, ledger = half_done
    with folder.held():
        process = subprocess.Popen(command(folder.path.parent), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("first: rehearsal on toy")
        ledger.end(14, TrialState.FAILED, "no memory")
        while "trial 14" not in (line := process.stdout.readline()):
            assert line, "it ended before the driver did"
        assert "failed" in line
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "no driver is at work now" in rest


def test_on_a_terminal_the_picture_is_drawn_in_place(half_done: Search) -> None:
    folder, _ = half_done
    ours, theirs = pty.openpty()
    _resize(ours, 80, 24)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment["TERM"] = "xterm"
    with folder.held():
        process = subprocess.Popen(command(folder.path.parent), stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        shown = _read_until(ours, "ends the watching, not the search")
        assert "14 of 16 trials" in shown
        assert widest(shown) <= 80
        # A terminal that became smaller is wiped, and what is drawn then fits it.
        _resize(ours, 50, 16)
        wiped = _read_until(ours, "\x1b[2J").rpartition("\x1b[2J")[2]
        shown = wiped + _read_until(ours, "14 of 16 trials")
        shown += _read_until(ours, "14 of 16 trials")
        assert 30 < widest(shown) <= 50
    rest = _read_until(ours, "no driver is at work now")
    assert "\x1b[?25h" in rest, "the cursor must be shown again"
    assert process.wait(60) == 0
    os.close(ours)


def _resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def widest(drawn: str) -> int:
    """Characters of the longest line, without what only steers the terminal."""
    return max(map(len, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn).replace("\r", "\n").split("\n")))


def _read_until(terminal: int, text: str) -> str:
    shown, deadline = "", time.monotonic() + 60
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.usefixtures("half_done")
def test_nobody_at_work_is_shown_once_and_wrong_use_is_said(cli: Run) -> None:
    shown = cli("status", "first", "--watch")
    assert shown.exit_code == 0
    assert "no driver is at work now" in shown.stdout
    for words in (("status", "--watch"), ("status", "first", "--watch", "--json")):
        refused = cli(*words)
        assert refused.exit_code == 2
        assert "--watch: follows one search" in refused.stderr
