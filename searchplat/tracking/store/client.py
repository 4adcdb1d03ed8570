"""Opening MLflow: quietly, without telemetry, one process at a time on a fresh file, and never waiting for minutes."""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchplat.errors import InputError
from searchplat.paths import sqlite_uri
from searchplat.tracking.store.address import Address

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # "View run ..." at the end of every run
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # for three small files
}
_IMPATIENT = {
    # MLflow's own defaults wait up to 247 s in one call when a server is away. We try again ourselves.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_PERMANENT = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST"}

ARTIFACTS_FOLDER = "mlruns"
"""Where artifacts go, beside a SQLite file; MLflow's own default name."""


def load(address: Address) -> None:
    """Import what MLflow needs for this store, here and now.

    In the caller's thread on purpose: two threads that import large packages at once (Ray in the one, this
    in the other) can see half-imported modules.

    Raises:
        InputError: If it cannot be imported.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    modules = ["mlflow", "mlflow.entities", "mlflow.tracking", "mlflow.store.tracking.rest_store"]
    if not address.remote:
        modules += ["mlflow.store.tracking.sqlalchemy_store", "alembic.command", "mlflow.store.db_migrations"]
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"MLflow cannot be imported: {error}; reinstall searchplat") from error


def connect(address: Address) -> Any:
    """Return an `MlflowClient` of the store; a SQLite file that does not exist yet is made first."""
    load(address)
    from mlflow import MlflowClient

    with hushed("mlflow.store.db.utils", "alembic.runtime.migration"):
        if address.sqlite is not None:
            _create_if_missing(address.sqlite)
        return MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)


def artifact_root(address: Address) -> Path | None:
    """The folder of artifacts beside a SQLite file; None where a server decides."""
    return None if address.sqlite is None else address.sqlite.parent / ARTIFACTS_FOLDER


@contextmanager
def impatient(address: Address) -> Iterator[None]:
    """Within it, MLflow's HTTP calls give up after seconds; what the user has set in the environment wins.

    MLflow reads these from the environment at each call and offers no other way. They are set once for as
    long as a sink lives, not around each call, because changing the environment is not safe between threads.
    """
    own = {name: value for name, value in _IMPATIENT.items() if address.remote and name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


@contextmanager
def hushed(*loggers: str, level: int = logging.WARNING) -> Iterator[None]:
    """Within it, the named loggers keep anything below `level` to themselves."""
    before = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


@contextmanager
def hushed_here(logger: str) -> Iterator[None]:
    """Within it, warnings of `logger` that come from this thread are dropped: we tell of an outage once ourselves."""
    thread = threading.get_ident()

    def mine(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno > logging.WARNING

    logging.getLogger(logger).addFilter(mine)
    try:
        yield
    finally:
        logging.getLogger(logger).removeFilter(mine)


def is_permanent(error: Exception) -> bool:
    """Whether MLflow refused what was sent, so that sending it again is of no use."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code in _PERMANENT


def error_code(error: Exception) -> str | None:
    """MLflow's code of an error, such as `RESOURCE_DOES_NOT_EXIST`."""
    code = getattr(error, "error_code", None)
    return None if code is None else str(code)


def _create_if_missing(path: Path) -> None:
    """Make a fresh store under another name and rename it: nobody ever meets half a schema.

    MLflow's own first opening takes seconds, races (of four processes at once three failed), and a kill in
    its middle leaves a file that no later opening can repair.
    """
    if path.exists() and path.stat().st_size > 0:
        return
    from filelock import FileLock
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=120):
        if path.exists() and path.stat().st_size > 0:
            return
        half = path.with_name(f"{path.name}.new")
        for leftover in path.parent.glob(f"{half.name}*"):
            leftover.unlink()
        with _unsafe_but_quick(half):
            store = SqlAlchemyStore(sqlite_uri(half), str(path.parent / ARTIFACTS_FOLDER))
            with store.engine.connect() as connection:
                # Kept in the file: the UI may read while we write, and a commit waits for the disk once, not thrice.
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            store.engine.dispose()
        with half.open("rb") as file:
            os.fsync(file.fileno())
        half.replace(path)


@contextmanager
def _unsafe_but_quick(database: Path) -> Iterator[None]:
    """Within it, commits to `database`, and to no other, do not wait for the disk.

    MLflow's schema is built in about a hundred commits, which on a busy disk take most of ten seconds; a file
    that is thrown away unless all of them succeed needs only one wait, at the end.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def relax(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            files = [row[2] for row in connection.execute("PRAGMA database_list")]
            if files and files[0] and Path(files[0]) == database.resolve():
                connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)
