"""The ledger: one SQLite file that remembers everything that happened in a search, in order.

Only the driver writes trials. Every suggestion, report and outcome is committed here *before* anything
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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from searchplat.contract import Values
from searchplat.errors import InputError, SearchplatError
from searchplat.ledger import database, records
from searchplat.ledger.database import SCHEMA, SCHEMA_VERSION, Transaction, connect, on_disk, to_text
from searchplat.ledger.outcomes import outcomes_of
from searchplat.ledger.ranking import improves
from searchplat.ledger.records import Event, Report, TrialRecord
from searchplat.ledger.trial_table import TrialTable
from searchplat.redaction import redact
from searchplat.searchers.contract import History, TrialState
from searchplat.spec.document.bounds import bounds_of
from searchplat.spec.model import Objective


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
        self.bounds = bounds_of(json.loads(meta.get("document") or "{}").get("outcomes", ()))
        """Bounds on outcomes."""
        self._trials = TrialTable()
        self._data_version = -1
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
        connection = connect(path)
        with on_disk(path), connection:
            connection.executescript("BEGIN;" + SCHEMA)
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
        database.check_file(path)
        return cls._opened(path, connect(path), alone)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Open an existing ledger for reading, while its driver may be writing."""
        database.check_file(path)
        uri = f"{path.absolute().as_uri()}?mode=ro"
        if not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
            uri += "&immutable=1"  # else SQLite makes files beside it, also to read
        with on_disk(path):
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=20)
        return cls._opened(path, connection, alone=False)

    @classmethod
    def _opened(cls, path: Path, connection: sqlite3.Connection, alone: bool) -> Ledger:
        try:
            with on_disk(path):
                return cls(path, connection, alone)
        except sqlite3.DatabaseError as error:  # it has other tables, or none
            connection.close()
            raise database.no_ledger(path, error) from error
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
                (number, stage, control, method, to_text(trial.values), to_text(trial.config), data_fraction, seed,
                 to_text(trial.info), based_on, seq, trial.state),
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
        """Record that a trial waits again: its driver went away, the search was paused, or there is less room."""
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
                "INSERT INTO reports VALUES (?, ?, ?, ?)", (number, epoch, seq, to_text(dict(metrics)))
            )
            changed = replace(trial, epoch=epoch, seconds=trial.seconds + records.seconds_of(metrics))
            objectives = tuple(metrics.get(o.metric, math.nan) for o in self._objectives)
            if all(map(math.isfinite, objectives)) and improves(objectives, trial.objectives, self._objectives):
                outcomes = outcomes_of(self.bounds, metrics)
                changed = replace(changed, best_epoch=epoch, objectives=objectives, outcomes=outcomes)
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
        """What is written within is committed whole, or not at all; tables of other parts are written so by these."""
        with self._write():
            yield self._connection

    # ------------------------------------------------------------------ reading

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query on the tables of other parts."""
        with self._lock, on_disk(self.path):
            return list(self._connection.execute(query, values).fetchall())

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised; see `searchplat.ledger.ranking`."""
        return self._objectives

    @property
    def seq(self) -> int:
        """Sequence number of the newest event; 0 when there is none."""
        return int(self.select("SELECT coalesce(max(seq), 0) FROM events")[0][0])

    def meta(self, key: str) -> str | None:
        """A fact about the search as a whole, None if it was never set."""
        rows = self.select("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

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
        which, values = ("", ()) if trial is None else (" WHERE trial = ?", (trial,))
        return [
            *map(
                records.report_of,
                self.select(f"SELECT {records.REPORT_COLUMNS} FROM reports{which} ORDER BY seq", *values),
            )
        ]

    def report_at(self, trial: int, epoch: int) -> Report:
        """The report of one epoch of one trial."""
        query = f"SELECT {records.REPORT_COLUMNS} FROM reports WHERE trial = ? AND epoch = ?"
        return records.report_of(self.select(query, trial, epoch)[0])

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Up to `limit` events with sequence numbers above `after`, in order."""
        query = f"SELECT {records.EVENT_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
        return [*map(records.event_of, self.select(query, after, limit))]

    def latest(self, limit: int, without: Sequence[str] = ()) -> list[Event]:
        """Up to `limit` events, the newest first, but for those of some kinds."""
        marks = ", ".join("?" * len(without))
        query = f"SELECT {records.EVENT_COLUMNS} FROM events WHERE kind NOT IN ({marks}) ORDER BY seq DESC LIMIT ?"
        return [*map(records.event_of, self.select(query, *without, limit))]

    def newest(self, *kinds: str) -> Event | None:
        """The newest event of one of `kinds`, None if there is none."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT {records.EVENT_COLUMNS} FROM events WHERE kind IN ({marks}) ORDER BY seq DESC LIMIT 1"
        return next(map(records.event_of, self.select(query, *kinds)), None)

    def cursor(self, sink: str) -> int:
        """Sequence number up to which `sink` has everything."""
        rows = self.select("SELECT seq FROM cursors WHERE sink = ?", sink)
        return int(rows[0][0]) if rows else 0

    def sink_runs(self, sink: str) -> dict[str, str]:
        """The identifiers that `sink` gave, by key."""
        return dict(self.select("SELECT key, run FROM sink_runs WHERE sink = ?", sink))

    # ------------------------------------------------------------------ inside

    def _event(self, kind: str, trial: int | None, payload: Mapping[str, Any]) -> int:
        cursor = self._connection.execute(
            "INSERT INTO events (at, kind, trial, payload) VALUES (?, ?, ?, ?)",
            (time.time(), kind, trial, to_text(dict(payload))),
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

    def _write(self) -> Transaction:
        return Transaction(self.path, self._connection, self._lock, partial(self._refresh, again=True))

    def _refresh(self, *, again: bool = False) -> None:
        """Read the trials again if another process wrote since, or in any case."""
        if self._alone and self._data_version >= 0 and not again:
            return
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._data_version and not again:
            return
        self._trials = TrialTable(self._read_trials())
        self._data_version = version

    def _read_trials(self, number: int | None = None) -> Iterator[TrialRecord]:
        """All trials in the order of their numbers, or one."""
        which, values = ("", ()) if number is None else (" WHERE number = ?", (number,))
        query = f"SELECT {records.trial_columns(self.bounds)} FROM trials{which} ORDER BY number"
        yield from (records.trial_of(row, self.bounds) for row in self.select(query, *values))
