"""Folders that one process has for itself on its machine, and that do not stay behind when it is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "searchplat-checkpoints-"
_YOUNG_S = 60.0
"""A folder may have been made and not yet be locked."""


class PrivateFolder:
    """A temporary folder for its user alone, removed by `close`; of processes that were killed, by the next one.

    The operating system keeps a lock on it for as long as the process lives: so whoever can take the lock knows that
    nobody needs the folder any more.

    Args:
        root: Where it is made; by default where temporary folders are.
        prefix: How its name begins; that of nobody else's folders there.
    """

    def __init__(self, root: Path | None = None, prefix: str = _PREFIX) -> None:
        root = root or Path(tempfile.gettempdir())
        _sweep(root, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        self._descriptor: int | None = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it with all that it holds. Calling it twice does nothing."""
        if self._descriptor is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._descriptor)
            self._descriptor = None


def _sweep(root: Path, prefix: str) -> None:
    """Remove what processes of this user left that did not live to do it."""
    for path in root.glob(f"{prefix}*"):
        with suppress(OSError):  # gone meanwhile, locked, or somebody else's
            about = path.lstat()
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < _YOUNG_S:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
