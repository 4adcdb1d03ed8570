"""The ledger: one SQLite file that remembers everything that happened in a search, in order.

The driver is its only writer. Every suggestion, report and outcome is committed here *before* anything
acts on it, so a killed driver resumes by reading, and nothing is ever unpickled. Order is the sequence
number of `events`, never a clock. Other processes read it at any time through `Ledger.read`.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from searchplat.contract import Values
from searchplat.errors import InputError, SearchplatError, TryAgainError
from searchplat.ranking import improves
from searchplat.redaction import redact
from searchplat.searchers.contract import History, TrialState
from searchplat.spec.model import Objective
from searchplat.trial_table import TrialRecord as TrialRecord
from searchplat.trial_table import TrialTable

SCHEMA_VERSION = 1

_SCHEMA = """
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


@dataclass(frozen=True)
class Report:
    """The metrics of one epoch of one trial. `seq` orders reports over all trials."""

    trial: int
    epoch: int
    seq: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Event:
    """One thing that happened: `suggested`, `started`, `reported`, `retried`, `requeued`, `ended`, or of the search
    as a whole `opened`, `extended`, `packed`, `closed`. `at` is a unix time, for people only.
    """

    seq: int
    at: float
    kind: str
    trial: int | None
    payload: dict[str, Any] = field(default_factory=dict)


_TRIAL_COLUMNS = tuple(f.name for f in fields(TrialRecord))


class Ledger:
    """The truth about one search.

    Open with `create` or `open` (the driver, which must hold the search's lock) or `read` (anyone).
    All methods may be called from several threads of the driver.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, alone: bool = True) -> None:
        self.path = path
        self._connection, self._alone = connection, alone
        self._lock = threading.RLock()
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        if meta.get("schema") != str(SCHEMA_VERSION):
            raise InputError(
                f"{path}: ledger schema {meta.get('schema')} is not the {SCHEMA_VERSION} of this version; "
                "use the searchplat version that wrote it"
            )
        self._objectives = tuple(Objective(o["metric"], o["maximize"]) for o in json.loads(meta["objectives"]))
        self._trials = TrialTable()
        self._trials_seq = -1
        self._refresh()

    @classmethod
    def create(cls, path: Path, document: Mapping[str, Any], objectives: Sequence[Objective]) -> Ledger:
        """Start a new ledger.

        Args:
            document: The resolved space (`searchplat.spec.to_document`), kept for resuming.
            objectives: What is optimised; a trial counts by its epoch with the best first one.

        Raises:
            InputError: If the file exists.
        """
        if path.exists():
            raise InputError(f"{path} exists; open it instead, or choose another name for the search")
        connection = _connect(path)
        with _room(path), connection:
            connection.executescript("BEGIN;" + _SCHEMA)
            meta = {
                "schema": str(SCHEMA_VERSION),
                "document": json.dumps(document, sort_keys=True),
                "objectives": json.dumps([{"metric": o.metric, "maximize": o.maximize} for o in objectives]),
                "created": repr(time.time()),
            }
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        return cls(path, connection)

    @classmethod
    def open(cls, path: Path, alone: bool = True) -> Ledger:
        """Open an existing ledger for writing.

        Args:
            alone: Whether nobody else writes trials. False for who stands beside the driver and keeps a cursor.
        """
        if not path.exists():
            raise InputError(f"{path}: there is no such ledger")
        return cls._opened(path, _connect(path), alone)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Open an existing ledger for reading, while its driver may be writing."""
        if not path.exists():
            raise InputError(f"{path}: there is no such ledger")
        uri = f"{path.absolute().as_uri()}?mode=ro"
        if not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
            uri += "&immutable=1"  # else SQLite makes files beside it, also to read
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=20)
        return cls._opened(path, connection, alone=False)

    @classmethod
    def _opened(cls, path: Path, connection: sqlite3.Connection, alone: bool) -> Ledger:
        try:
            with _room(path):
                return cls(path, connection, alone)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise InputError(f"{path}: is not a ledger ({error})") from error
        except SearchplatError:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ writing

    def note(self, kind: str, payload: Mapping[str, Any] | None = None) -> int:
        """Record an event of the search as a whole; return its sequence number."""
        clean = {key: redact(value) if isinstance(value, str) else value for key, value in (payload or {}).items()}
        with self._write():
            return self._event(kind, None, clean)

    def suggest(
        self,
        *,
        stage: str,
        method: str,
        values: Values,
        config: Values,
        data_fraction: float,
        seed: int,
        control: str | None = None,
        info: Mapping[str, Any] | None = None,
        based_on: int = 0,
    ) -> TrialRecord:
        """Record a new trial, in state `waiting`, under the next free number."""
        with self._write():
            number = self._trials.next_number
            seq = self._event("suggested", number, {"stage": stage})
            trial = TrialRecord(
                number, stage, control, method, dict(values), dict(config), data_fraction, seed, dict(info or {}),
                based_on, seq,
            )  # fmt: skip
            self._connection.execute(
                "INSERT INTO trials (number, stage, control, method, assigned, config, data_fraction, seed, info,"
                " based_on, suggested_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, stage, control, method, _dump(trial.values), _dump(trial.config), data_fraction, seed,
                 _dump(trial.info), based_on, seq, trial.state),
            )  # fmt: skip
            self._trials.put(trial)
            return trial

    def start(self, number: int) -> None:
        """Record that a trial is handed to a worker."""
        self._change(number, "started", {}, state=TrialState.RUNNING)

    def retry(self, number: int, cause: str) -> None:
        """Record that a trial's worker died and the trial is taken up again."""
        cause = redact(cause)
        retries = self._trials[number].retries + 1
        self._change(number, "retried", {"cause": cause}, retries=retries)

    def requeue(self, number: int) -> None:
        """Record that a trial is waiting again: its driver went away."""
        self._change(number, "requeued", {}, state=TrialState.WAITING)

    def report(self, number: int, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Record the metrics of one epoch.

        Returns:
            False, and nothing is written, if this epoch was reported before: the worker had died after its
            report and redid the epoch.
        """
        with self._write():
            trial = self._trials[number]
            if epoch <= trial.epoch:
                return False
            seq = self._event("reported", number, {"epoch": epoch})
            self._connection.execute(
                "INSERT INTO reports VALUES (?, ?, ?, ?)", (number, epoch, seq, _dump(dict(metrics)))
            )
            seconds = trial.seconds + sum(
                value
                for key, value in metrics.items()
                if key.startswith("time/") and key.endswith("_seconds") and math.isfinite(value)
            )
            changed = replace(trial, epoch=epoch, seconds=seconds)
            objectives = tuple(metrics.get(o.metric, math.nan) for o in self._objectives)
            if all(map(math.isfinite, objectives)) and improves(objectives, trial.objectives, self._objectives):
                changed = replace(changed, best_epoch=epoch, objectives=objectives)
            self._store(changed)
            return True

    def end(self, number: int, state: TrialState, cause: str | None = None) -> None:
        """Record a trial's outcome.

        Raises:
            ValueError: If `state` is not a final one.
        """
        if not state.final:
            raise ValueError(f"a trial ends in a final state, got {state}")
        cause = None if cause is None else redact(cause)  # a traceback may show an address with its password
        with self._write():
            seq = self._event("ended", number, {"state": state, "cause": cause})
            self._store(replace(self._trials[number], state=state, cause=cause, ended_at=seq))

    def set_cursor(self, sink: str, seq: int) -> None:
        """Record that `sink` has everything up to event `seq`."""
        with self._write():
            self._connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (sink, seq))

    def set_sink_run(self, sink: str, key: str, run: str) -> None:
        """Record the identifier that `sink` gave to a trial (`key` = its number) or to the search (`key` = search)."""
        with self._write():
            self._connection.execute("INSERT OR REPLACE INTO sink_runs VALUES (?, ?, ?)", (sink, key, run))

    def forget_sink(self, sink: str) -> None:
        """Forget what `sink` has and how it calls it: it is to get everything again."""
        with self._write():
            self._connection.execute("DELETE FROM cursors WHERE sink = ?", (sink,))
            self._connection.execute("DELETE FROM sink_runs WHERE sink = ?", (sink,))

    def set_meta(self, key: str, value: str) -> None:
        """Keep a fact about the search as a whole."""
        with self._write():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """For the tables of other parts, which own them: what is executed within is committed whole, or not at all."""
        with self._write():
            yield self._connection

    # ------------------------------------------------------------------ reading

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query on the tables of other parts."""
        with self._lock:
            return list(self._connection.execute(query, values).fetchall())

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised; see `searchplat.ranking`."""
        return self._objectives

    @property
    def seq(self) -> int:
        """Sequence number of the newest event; 0 when there is none."""
        with self._lock:
            return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def meta(self, key: str) -> str | None:
        """A fact about the search as a whole, None if it was never set."""
        with self._lock:
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def document(self) -> dict[str, Any]:
        """The resolved space that the search was started with."""
        loaded: dict[str, Any] = json.loads(self.meta("document") or "{}")
        return loaded

    def trials(self) -> list[TrialRecord]:
        """All trials in the order of their numbers."""
        with self._lock:
            self._refresh()
            return self._trials.all()

    def trial(self, number: int) -> TrialRecord:
        """One trial.

        Raises:
            InputError: If there is none of that number.
        """
        with self._lock:
            if not self._alone and (found := next(self._read_trials(number), None)) is not None:
                return found  # one row: who stands beside a driver would find all of them changed every time
            self._refresh()
            if number not in self._trials:
                raise InputError(f"{self.path}: trial {number} does not exist; there are {len(self._trials)}")
            return self._trials[number]

    def history(self, stage: str) -> History:
        """What a searcher of `stage` may see: its trials, without controls."""
        with self._lock:
            self._refresh()
            return History(self._trials.past(stage), self.seq)

    def open_trials(self) -> list[TrialRecord]:
        """Trials that have not ended, in the order of their numbers; takes no longer when many have."""
        with self._lock:
            self._refresh()
            return self._trials.open()

    @property
    def next_number(self) -> int:
        """The number that the next trial gets."""
        with self._lock:
            self._refresh()
            return self._trials.next_number

    def count(self, stage: str, control: str | None = None) -> int:
        """Trials of a stage, or of a control in it; takes no longer when there are many."""
        with self._lock:
            self._refresh()
            return self._trials.count(stage, control)

    def reports(self, trial: int | None = None) -> list[Report]:
        """Reports of one trial, or of all, in the order in which they came."""
        query = "SELECT trial, epoch, seq, metrics FROM reports"
        with self._lock:
            rows = (
                self._connection.execute(query + " ORDER BY seq")
                if trial is None
                else self._connection.execute(query + " WHERE trial = ? ORDER BY seq", (trial,))
            ).fetchall()
        return [Report(t, epoch, seq, _load(metrics)) for t, epoch, seq, metrics in rows]

    def report_at(self, trial: int, epoch: int) -> Report:
        """The report of one epoch of one trial."""
        with self._lock:
            row = self._connection.execute(
                "SELECT trial, epoch, seq, metrics FROM reports WHERE trial = ? AND epoch = ?", (trial, epoch)
            ).fetchone()
        return Report(row[0], row[1], row[2], _load(row[3]))

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Up to `limit` events with sequence numbers above `after`, in order."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT seq, at, kind, trial, payload FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            ).fetchall()
        return [Event(seq, at, kind, trial, json.loads(payload)) for seq, at, kind, trial, payload in rows]

    def newest(self, *kinds: str) -> Event | None:
        """The newest event of one of `kinds`, None if there is none."""
        marks = ", ".join("?" * len(kinds))
        with self._lock:
            row = self._connection.execute(
                f"SELECT seq, at, kind, trial, payload FROM events WHERE kind IN ({marks}) ORDER BY seq DESC LIMIT 1",
                kinds,
            ).fetchone()
        return None if row is None else Event(row[0], row[1], row[2], row[3], json.loads(row[4]))

    def cursor(self, sink: str) -> int:
        """Sequence number up to which `sink` has everything."""
        with self._lock:
            row = self._connection.execute("SELECT seq FROM cursors WHERE sink = ?", (sink,)).fetchone()
        return 0 if row is None else int(row[0])

    def sink_runs(self, sink: str) -> dict[str, str]:
        """The identifiers that `sink` gave, by key."""
        with self._lock:
            return dict(self._connection.execute("SELECT key, run FROM sink_runs WHERE sink = ?", (sink,)))

    # ------------------------------------------------------------------ inside

    def _event(self, kind: str, trial: int | None, payload: Mapping[str, Any]) -> int:
        cursor = self._connection.execute(
            "INSERT INTO events (at, kind, trial, payload) VALUES (?, ?, ?, ?)",
            (time.time(), kind, trial, _dump(dict(payload))),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _change(self, number: int, kind: str, payload: Mapping[str, Any], **changes: Any) -> None:
        with self._write():
            self._event(kind, number, payload)
            self._store(replace(self._trials[number], **changes))

    def _store(self, trial: TrialRecord) -> None:
        self._connection.execute(
            "UPDATE trials SET state = ?, cause = ?, retries = ?, ended_at = ?, epoch = ?, seconds = ?, best_epoch = ?,"
            " objectives = ? WHERE number = ?",
            (trial.state, trial.cause, trial.retries, trial.ended_at, trial.epoch, trial.seconds, trial.best_epoch,
             None if trial.objectives is None else json.dumps(trial.objectives), trial.number),
        )  # fmt: skip
        self._trials.put(trial)

    def _write(self) -> _Transaction:
        return _Transaction(self.path, self._connection, self._lock, self._reload)

    def _reload(self) -> None:
        self._trials_seq = -1
        self._refresh()

    def _refresh(self) -> None:
        """Read the trials again if another process wrote since."""
        if self._alone and self._trials_seq >= 0:
            return
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._trials_seq:
            return
        self._trials = TrialTable(self._read_trials())
        self._trials_seq = version

    def _read_trials(self, number: int | None = None) -> Iterator[TrialRecord]:
        """All trials in the order of their numbers, or one."""
        columns = ", ".join(_TRIAL_COLUMNS).replace("values", "assigned")  # `values` is a keyword of SQL
        which, values = ("", ()) if number is None else (" WHERE number = ?", (number,))
        rows = self._connection.execute(f"SELECT {columns} FROM trials{which} ORDER BY number", values).fetchall()
        for row in rows:
            record: dict[str, Any] = dict(zip(_TRIAL_COLUMNS, row, strict=True))
            for column in ("values", "config", "info"):
                record[column] = json.loads(record[column])
            record["state"] = TrialState(record["state"])
            if record["objectives"] is not None:
                record["objectives"] = tuple(json.loads(record["objectives"]))
            yield TrialRecord(**record)


class _Transaction:
    """Holds the lock, commits on success; on failure rolls back, and memory is read again from the file.

    Raises:
        TryAgainError: If the disk is full.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: threading.RLock, reload: Any) -> None:
        self._path, self._connection, self._lock, self._reload = path, connection, lock, reload

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            with _room(self._path):
                self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                try:
                    with _room(self._path):
                        self._connection.execute("COMMIT")
                except BaseException:
                    self._undo()
                    raise
            else:
                self._undo()
                with _room(self._path):
                    raise error
        finally:
            self._lock.release()

    def _undo(self) -> None:
        self._connection.rollback()  # does nothing where SQLite has done it by itself
        self._reload()


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """Within it, what SQLite says of a full disk becomes an error of the moment."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # On a full disk SQLite fails to grow a file (FULL) or the memory that it shares with readers (IOERR).
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        raise TryAgainError(
            f"{path}: the ledger cannot be written ({error}); free some space and run the same command again"
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _room(path):
        # Autocommit mode: transactions are begun and ended by _Transaction alone.
        connection = sqlite3.connect(path, check_same_thread=False, timeout=20, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def _dump(value: Mapping[str, Any]) -> str:
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


def _load(text: str) -> dict[str, float]:
    loaded: dict[str, float] = json.loads(
        text, object_hook=lambda item: float(item["$float"]) if set(item) == {"$float"} else item
    )
    return loaded
