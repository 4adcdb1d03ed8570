"""The searches of a folder, read for the live page: read-only, again only where a file has changed, at bounded cost.

Nothing here writes or waits for a driver: ledgers are opened read-only for as long as a reading takes, as by
`searchplat status`. Whether a driver is at work says the search's lock, looked at as by `status --watch`.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from searchplat.engine.steering.requests import RequestFolder
from searchplat.engine.steering.steering import concurrent_of
from searchplat.errors import TryAgainError
from searchplat.ledger import Event, Ledger
from searchplat.ledger.folder import SearchFolder, list_searches
from searchplat.report.facts import Facts, gather
from searchplat.searchers.contract import TrialState
from searchplat.views.standing import Standing, standing_of

LOG = 200
"""Events shown, the newest."""

_LOOK_S = 1.0
"""Seconds between two looks whether a driver is at work; each holds the search's lock for an instant."""
_COST_SHARE = 20.0
"""Reading one search takes at most 1/20 of one core, however many trials it has and browsers look, ..."""
_LONGEST_S = 10.0
"""... but it is read so often at least: a first reading, which loads modules, says little of the next."""
_COARSE_S = 2.0
"""A file that changed so recently may have changed again since, at the same time by its clock."""

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """One search at one moment.

    Args:
        takes: What the driver that takes requests does; None where none does.
        concurrent: How many trials may run at once; None for as many as fit.
        seconds_left: An estimate; None before there is one, and where nobody is at work.
        log: The newest events, the newest first.
        milestones: The same without the reports of epochs.
        dashboard: Ray's, while it is there.
    """

    standing: Standing
    facts: Facts
    takes: Literal["search", "promotion"] | None
    concurrent: int | None
    seconds_left: float | None
    log: Sequence[Event]
    milestones: Sequence[Event]
    dashboard: str | None


@dataclass(frozen=True)
class _Kept:
    stamp: Any
    until: float
    serial: int
    value: Any


class Searches:
    """What is in a folder of searches. May be asked by several threads.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._serials = itertools.count()
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._running: dict[str, tuple[float, bool]] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}

    def folder(self, name: str) -> SearchFolder:
        """A search that exists.

        Raises:
            InputError: If there is none of this name.
        """
        found = SearchFolder(self.root, name)
        found.check_exists()
        return found

    def names(self) -> list[str]:
        """All of them, sorted."""
        return list_searches(self.root)

    def standing(self, name: str) -> tuple[int, Standing]:
        """How a search stands, and a number that is another whenever it was read again.

        Raises:
            InputError: If there is no such search, or its ledger cannot be read.
            TryAgainError: If it cannot be read just now.
        """
        return self._read("standing", self.folder(name), standing_of)

    def look(self, name: str) -> tuple[int, Look]:
        """All that the page shows of a search; as `standing`."""
        return self._read("look", self.folder(name), _look)

    def forget(self, name: str) -> None:
        """Read a search anew when it is next asked for: something was asked of it."""
        for kind in ("standing", "look"):
            self._kept.pop((kind, name), None)
        self._running.pop(name, None)

    def running(self, folder: SearchFolder) -> bool:
        """Whether a driver is at work, as of the last second."""
        at, known = self._running.get(folder.name, (0.0, False))
        if time.monotonic() - at > _LOOK_S:
            known = folder.running()
            self._running[folder.name] = time.monotonic(), known
        return known

    def _read(self, kind: str, folder: SearchFolder, read: Callable[[SearchFolder, Ledger, bool], T]) -> tuple[int, T]:
        key = kind, folder.name
        with self._locks.setdefault(key, threading.Lock()):  # several browsers wait for one reading
            running = self.running(folder)
            stamp = self._stamp(folder, running)
            kept = self._kept.get(key)
            if kept is not None and (kept.stamp == stamp or time.monotonic() < kept.until):
                return kept.serial, kept.value
            began, at = time.thread_time(), time.time()
            try:
                with folder.read() as ledger:
                    value = read(folder, ledger, running)
            except sqlite3.Error as error:
                raise TryAgainError(f"{folder.ledger_path}: cannot be read just now ({error})") from error
            settled = all(at - changed > _COARSE_S for _, _, changed in stamp[1])
            pause = min((time.thread_time() - began) * _COST_SHARE, _LONGEST_S)
            found = _Kept(stamp if settled else None, time.monotonic() + pause, next(self._serials), value)
            self._kept[key] = found
            return found.serial, value

    @staticmethod
    def _stamp(folder: SearchFolder, running: bool) -> Any:
        """What is another whenever the search has changed: its files, whether it runs, who asks for what."""
        files = []
        for path in (folder.ledger_path, folder.ledger_path.with_name(f"{folder.ledger_path.name}-wal")):
            try:
                about = path.stat()
            except OSError:
                continue
            files.append((about.st_ino, about.st_size, about.st_mtime))
        requests = RequestFolder(folder.requests)
        return running, tuple(files), tuple(requests.waiting()), requests.driver()


def _look(folder: SearchFolder, ledger: Ledger, running: bool) -> Look:
    standing = standing_of(folder, ledger, running)
    snapshot = standing.snapshot
    driver = RequestFolder(folder.requests).driver() if running else None
    concurrent = concurrent_of(snapshot.spec, ledger)
    at_work = sum(trial.state is TrialState.RUNNING for trial in snapshot.trials)
    slots = max(1, at_work if concurrent is None else concurrent)
    return Look(
        standing=standing,
        facts=gather(folder.name, folder.path, ledger, running, snapshot),
        takes=driver.work if driver is not None else None,
        concurrent=concurrent,
        seconds_left=snapshot.seconds_left(slots) if running else None,
        log=ledger.latest(LOG),
        milestones=ledger.latest(LOG, without=("reported",)),
        dashboard=ledger.meta("dashboard") if running else None,
    )
