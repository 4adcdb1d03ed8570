"""A real small disk that can be filled: a tmpfs, mounted for the time of a block."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """What is mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Write until no more than `leave_bytes` are left."""
        with self._ballast.open("ab", buffering=0) as file:
            while (room := shutil.disk_usage(self.path).free - leave_bytes) > 0:
                try:
                    file.write(bytes(min(room, 1 << 20)))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return

    def free(self) -> None:
        """Take away what `fill` has written."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount one at `path`; the test is skipped where this user may not mount."""
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "searchplat-test", str(path)]
    if shutil.which("mount") is None or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a full disk is provoked on a small tmpfs, and this user may not mount one")
    try:
        yield SmallDisk(path)
    finally:
        for _ in range(50):  # processes of a cluster that is going down may still stand in it
            if subprocess.run(["umount", str(path)], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)
        else:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
