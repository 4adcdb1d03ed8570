"""The ledger's file: its tables, how it is opened, and a transaction that leaves memory as the file has it."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchplat.errors import InputError, TryAgainError

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, trial INTEGER,
    payload TEXT NOT NULL);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY, stage TEXT NOT NULL, control TEXT, method TEXT NOT NULL,
    assigned TEXT NOT NULL, config TEXT NOT NULL, data_fraction REAL NOT NULL, seed INTEGER NOT NULL,
    info TEXT NOT NULL, based_on INTEGER NOT NULL, suggested_at INTEGER NOT NULL,
    state TEXT NOT NULL, cause TEXT, retries INTEGER NOT NULL DEFAULT 0, ended_at INTEGER,
    epoch INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0, best_epoch INTEGER, objectives TEXT);
CREATE TABLE reports (
    trial INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, metrics TEXT NOT NULL,
    PRIMARY KEY (trial, epoch)) WITHOUT ROWID;
CREATE TABLE cursors (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE sink_runs (sink TEXT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (sink, key));
"""


class Transaction:
    """Holds the lock, commits on success; on failure rolls back, and memory is read again from the file.

    One within another is a part of it: the outer one commits, or not.

    Raises:
        TryAgainError: If the disk is full.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: threading.RLock, reload: Callable[[], None]
    ) -> None:
        self._path, self._connection, self._lock, self._reload = path, connection, lock, reload
        self._within = False

    def __enter__(self) -> None:
        self._lock.acquire()
        self._within = self._connection.in_transaction
        if self._within:
            return
        try:
            with on_disk(self._path):
                self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._within:
                return
            if error is None:
                try:
                    with on_disk(self._path):
                        self._connection.execute("COMMIT")
                except BaseException:
                    self._undo()
                    raise
            else:
                self._undo()
                with on_disk(self._path):
                    raise error
        finally:
            self._lock.release()

    def _undo(self) -> None:
        self._connection.rollback()  # does nothing where SQLite has done it by itself
        self._reload()


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Within it, what SQLite says of the ledger's file or disk becomes an error that says what to do.

    Raises:
        TryAgainError: If the disk is full, or another program holds the file for long.
        InputError: If the file may not be opened or written, or is no whole ledger.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        # On a full disk SQLite fails to grow a file (FULL) or the memory that it shares with readers (IOERR).
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise TryAgainError(
                f"{path}: the ledger cannot be written ({error}); free some space and run the same command again"
            ) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise TryAgainError(
                f"{path}: another program holds the ledger ({error}); wait for it, then run the same command again"
            ) from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise InputError(
                f"{path}: the ledger cannot be opened ({error}); see that this user may read and write it and the "
                "files beside it, and that its disk is not read-only"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise no_ledger(path, error) from error
        raise


def no_ledger(path: Path, why: object) -> InputError:
    """The error of a file that is none, or not whole."""
    return InputError(
        f"{path}: is not a ledger ({why}); put a whole copy of it back, or move it away and choose another name for "
        "the search"
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing; it is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with on_disk(path):
        # Autocommit mode: transactions are begun and ended by Transaction alone.
        connection = sqlite3.connect(path, check_same_thread=False, timeout=20, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
    return connection


def to_text(value: Mapping[str, Any]) -> str:
    """JSON with non-finite numbers as text, since JSON has none."""

    def plain(item: Any) -> Any:
        if isinstance(item, float) and not math.isfinite(item):
            return {"$float": repr(item)}
        if isinstance(item, Mapping):
            return {key: plain(inner) for key, inner in item.items()}
        if isinstance(item, (list, tuple)):
            return [plain(inner) for inner in item]
        return item

    return json.dumps(plain(value), sort_keys=True, allow_nan=False)


def from_text(text: str) -> dict[str, Any]:
    """What `to_text` wrote."""
    loaded: dict[str, Any] = json.loads(
        text, object_hook=lambda item: float(item["$float"]) if set(item) == {"$float"} else item
    )
    return loaded


def check_file(path: Path) -> None:
    """Raise an `InputError` unless there is a file, which may be a ledger."""
    if not path.exists():
        raise InputError(f"{path}: there is no such ledger")
    if not path.is_file():
        raise no_ledger(path, "it is a folder" if path.is_dir() else "it is no file")
