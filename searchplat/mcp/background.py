"""Searches and promotions in processes of their own, which go on when the client and this server have gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from searchplat.engine.steering.requests import RequestFolder
from searchplat.errors import InputError, SearchFailedError, TryAgainError
from searchplat.ledger.folder import SearchFolder
from searchplat.mcp.project import Project
from searchplat.methods import ALLOW_IMPORT, imports_allowed

LOG = "driver.log"
"""In a search's folder: what its processes that were started here wrote."""

_WAIT_S = 20.0
"""Seconds in which what is wrong with a command usually shows; a Ray that starts takes longer."""
_TAIL_BYTES = 16_384
_ERRORS = {2: InputError, 75: TryAgainError}


@dataclass(frozen=True)
class Started:
    """A process.

    Args:
        words: The command, as a person would type it.
        begins: Where its part of the log begins.
    """

    process: subprocess.Popen[bytes]
    words: Sequence[str]
    begins: int


class Starter:
    """Starts processes, at most as many as are allowed.

    Args:
        project: Whose searches they work on.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._started: dict[str, Started] = {}
        self._lock = threading.Lock()

    def start(self, folder: SearchFolder, words: Sequence[str], seconds: float) -> Started:
        """Start a command on a search, and see whether it gets under way.

        Args:
            words: Without `searchplat`.
            seconds: After which it ends by itself.

        Raises:
            InputError, TryAgainError, SearchFailedError: With the command's own words, if it ends with them at once.
            TryAgainError: If enough are at work.
        """
        words = [*words, "--runs", str(folder.path.parent), *self._project.rules.words]
        words += [ALLOW_IMPORT] if imports_allowed() else []
        with self._lock:
            busy = self._project.at_work() | {name for name in self._started if self.alive(name)}
            if folder.name in busy:
                raise TryAgainError(f"search {folder.name!r} is being run by another process; wait for it, or stop it")
            if len(busy) >= (most := self._project.rules.most_searches):
                raise TryAgainError(
                    f"{len(busy)} searches are at work ({', '.join(sorted(busy))}), and the user allows {most} at once "
                    "(--most-searches of this server); wait for one to end, or stop it"
                )
            started = self._started[folder.name] = self._open(folder, words, seconds)
        until = time.monotonic() + _WAIT_S
        requests = RequestFolder(folder.requests)
        while time.monotonic() < until and started.process.poll() is None:
            if folder.running() and requests.driver() is not None:
                break
            time.sleep(0.1)
        if code := started.process.poll():
            said = "\n".join(self.error(folder)) or f"the process ended with exit code {code}"
            raise _ERRORS.get(code, SearchFailedError)(said)
        return started

    def alive(self, name: str) -> bool:
        """Whether a process that was started here is still there; one that has ended is noticed."""
        started = self._started.get(name)
        return started is not None and started.process.poll() is None

    def end(self, name: str, patience_s: float) -> bool:
        """End a process that was started here, as a SIGTERM does: in good order. False if there is none.

        Raises:
            TryAgainError: If it has not ended in time.
        """
        if not self.alive(name):
            return False
        process = self._started[name].process
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise TryAgainError(f"search {name!r} was told to end and has not yet; see search_status") from None
        return True

    def exit_code(self, name: str) -> int | None:
        """Of the newest process that was started here on a search; None if there is none, or it has not ended."""
        started = self._started.get(name)
        return None if started is None else started.process.poll()

    def error(self, folder: SearchFolder) -> list[str]:
        """What the newest process wrote from its error on, else the last lines of the log; empty without one."""
        started = self._started.get(folder.name)
        lines = tail(folder.path / LOG, 0 if started is None else started.begins)
        first = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        if not first:
            return lines[-20:]
        return [lines[first[-1]].removeprefix("error: "), *lines[first[-1] + 1 :]]

    def _open(self, folder: SearchFolder, words: Sequence[str], seconds: float) -> Started:
        folder.path.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            log = os.open(folder.path / LOG, flags, 0o644)
        except OSError as error:
            raise InputError(f"{folder.path / LOG}: cannot be written ({error.strerror}); move it away") from error
        try:
            begins = os.fstat(log).st_size
            process = subprocess.Popen(
                # -P: files of the project are no modules.
                [sys.executable, "-P", "-m", "searchplat.mcp.timed", f"{seconds:g}", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        return Started(process, ["searchplat", *words], begins)


def tail(path: Path, begins: int = 0) -> list[str]:
    """The last lines of a log, from a place on."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(begins, size - _TAIL_BYTES))
        return file.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
