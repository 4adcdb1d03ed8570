"""The report of a search as a text, and as a file."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from pathlib import Path

from searchplat.errors import InputError, TryAgainError
from searchplat.ledger.folder import SearchFolder
from searchplat.report.facts import gather
from searchplat.report.page import render

NAME = "report.html"


def page_of(folder: SearchFolder) -> str:
    """The page on a search as it stands now, whether or not it runs.

    Raises:
        InputError: If there is no such search.
    """
    with folder.read() as ledger:
        facts = gather(folder.name, folder.path, ledger, folder.running())
    return render(facts, time.time())


def write(path: Path, content: str) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: If the place may not be written.
        TryAgainError: If the disk is full.
    """
    half = None
    try:
        descriptor, half = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)  # mkstemp makes files for one user alone
        os.umask(umask)
        os.chmod(half, 0o666 & ~umask)
        os.replace(half, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TryAgainError(f"{path}: the disk is full ({error.strerror}); free some space, then repeat") from error
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another file with --out") from error
    finally:
        if half is not None and os.path.exists(half):
            os.unlink(half)
