"""Progress is plain lines where there is no terminal, and a bar where there is one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from searchplat.assets import progress


def test_lines_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    with progress.watching("letters", tmp_path, 4_000_000):
        (tmp_path / "part").write_bytes(b"0" * 1_000_000)
        time.sleep(0.3)
    captured = capsys.readouterr()
    assert captured.out == ""
    first, *others = captured.err.splitlines()
    assert first == "searchplat: letters ..."
    assert others[-1] == "searchplat: letters: 1 of about 4 MB after 0 s"


def test_a_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress.watching("letters", tmp_path, 4_000_000):
        (tmp_path / "part").write_bytes(b"0" * 1_000_000)
        time.sleep(0.6)
    assert "1.0/4.0 MB" in capsys.readouterr().err


def test_an_error_in_the_body_comes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError), progress.watching("letters", tmp_path):
        raise KeyError("x")
