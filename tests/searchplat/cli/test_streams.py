"""Output that goes away, is full, or was never there: a sentence and an exit code, no bug."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from searchplat.views.monitors import LiveMonitor, PlainMonitor
from searchplat.views.output import console

SEARCHPLAT = f"{sys.executable} -m searchplat"
NO_ROOM = "error: no space left where the output goes"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("words", "code", "stderr"),
    [
        ("status >&-", 0, ""),
        ("status >&- 2>&- <&-", 0, ""),
        ("status > /dev/full", 75, NO_ROOM),
        ("status --json > /dev/full", 75, NO_ROOM),
        ("--help > /dev/full", 75, NO_ROOM),
        ("--version > /dev/full", 75, NO_ROOM),
        ("status 2> /dev/full", 0, ""),
        ("best nope 2> /dev/full", 2, ""),
        ("best nope > /dev/full", 2, "error: search 'nope' does not exist"),
        ("data toy > /dev/full 2> /dev/full", 75, ""),
    ],
)
def test_each_way_has_its_exit_code(words: str, code: int, stderr: str) -> None:
    done = shell(f"{SEARCHPLAT} {words}")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(stderr)
    assert "bug" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_a_file_that_is_opened_later_is_no_standard_stream(tmp_path: Path) -> None:
    program = (
        "from searchplat.cli.streams import mend; mend()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "print('to stdout', flush=True); __import__('os').write(1, b'from a library')\n"
        "raise SystemExit(0 if file.fileno() > 2 else 1)"
    )
    assert shell(f'{sys.executable} -c "{program}" >&- 2>&-').returncode == 0
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("columns", ["0", "-3", "wide", ""])
def test_a_width_that_is_none_is_not_believed(columns: str) -> None:
    done = shell(f"{SEARCHPLAT} data toy", COLUMNS=columns, LINES=columns)
    assert done.returncode == 0, done.stderr
    assert "interactions" in done.stdout


def test_a_terminal_that_goes_away_is_no_bug() -> None:
    ours, theirs = pty.openpty()
    program = "import time; from searchplat.cli.app import entry; print('begun', flush=True); time.sleep(1); entry()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "data"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while not said.endswith(b"begun\r\n"):
        said += os.read(ours, 100)
    os.close(ours)  # in another session, so no SIGHUP comes of it
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (75, "error: the terminal has gone\n")


def test_lines_of_a_search_that_cannot_be_written_are_left_out() -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 - closing it fails, which is not what is tested
    plain = PlainMonitor(full)
    plain.prepare("data")
    plain.event("news")
    plain.close()
    with pytest.raises(OSError, match="No space left"):  # so there was something that could not be written
        full.close()
    ours, theirs = pty.openpty()
    terminal = os.fdopen(theirs, "w")
    live = LiveMonitor(console(terminal))
    os.close(ours)
    live.prepare("data")
    live.event("news")
    live.close()
    with suppress(OSError):
        terminal.close()
