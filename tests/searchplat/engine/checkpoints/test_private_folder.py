"""Temporary folders of processes, alive and killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from searchplat.engine.checkpoints import private_folder
from searchplat.engine.checkpoints.private_folder import PrivateFolder

KILLED = (
    "import os, signal; from searchplat.engine.checkpoints.private_folder import PrivateFolder;"
    "folder = PrivateFolder(); (folder.path / 'weights').touch(); print(folder.path, flush=True);"
    "os.kill(os.getpid(), signal.SIGKILL)"
)


def test_a_folder_is_its_users_alone_and_those_of_the_killed_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    alive = PrivateFolder()
    assert stat.S_IMODE(alive.path.stat().st_mode) == 0o700
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    left = Path(done.stdout.strip())
    assert (left / "weights").exists(), done.stderr
    PrivateFolder().close()
    assert left.exists()  # it might have been made this moment, and not be locked yet
    monkeypatch.setattr(private_folder, "_YOUNG_S", 0.0)
    PrivateFolder().close()
    assert not left.exists()
    assert alive.path.exists()
    alive.close()
    alive.close()
    assert not alive.path.exists()
