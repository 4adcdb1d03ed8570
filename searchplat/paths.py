"""Paths as people write them, read in one place: options, environment variables and keys of a space file.

A path is made absolute when it is read, so that it means the same in every process, whatever folder that one works in.
Addresses, such as `s3://bucket`, are none; `tracking.store.address` and `engine.checkpoints.storage` read those, and
ask here for paths.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from searchplat.errors import InputError, disk_full
from searchplat.redaction import redact

WITHIN = "SEARCHPLAT_WITHIN"
"""The variable with the folder that space files, and what they name, have to be in; none by default."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def resolve(text: str | Path, what: str) -> Path:
    """The absolute path that `text` means here and now; there need be nothing.

    `~` and `~name` at its beginning are home folders, as in a shell; `./~` is a folder of that name. A relative path
    begins at the working folder. `..` is taken out where that leads to the same place.

    Args:
        what: Where the text was read, for errors: `--runs`.

    Raises:
        InputError: If it is none, empty or an address, nobody has a home of that name, or the working folder is gone.
    """
    given = os.fspath(text) if isinstance(text, (str, os.PathLike)) else text
    if not isinstance(given, str):
        raise InputError(f"{what}: must be a path, got {given!r}")
    if not given.strip():
        raise InputError(f"{what}: must name a file or folder, got {given!r}; write its path")
    if is_address(given):
        raise InputError(f"{what}: must be a path on this machine, got the address {redact(given)!r}; write a path")
    expanded = os.path.expanduser(given)
    if expanded.startswith("~"):
        name = expanded.partition("/")[0]
        raise InputError(
            f"{what}: {name!r} must be somebody's home folder, and is not known; write the path out, or ./{name} for "
            "a folder of that name"
        )
    try:
        path = Path(expanded).absolute()
    except FileNotFoundError as error:
        raise InputError(f"{what}: {given!r} begins at the working folder, which is gone; change to another") from error
    return _without_dots(path)


def is_address(text: str) -> bool:
    """Whether `text` begins like a URL, and so is no path.

    >>> is_address("s3://bucket/runs"), is_address("runs/s3:/bucket")
    (True, False)
    """
    return _ADDRESS.match(text) is not None


def from_environment(variable: str) -> Path | None:
    """The path that an environment variable holds; None where it is not set, or empty.

    Raises:
        InputError: As `resolve`.
    """
    text = os.environ.get(variable)
    return resolve(text, variable) if text else None


def keep_within(path: Path, what: str) -> Path:
    """`path`, unless the variable `SEARCHPLAT_WITHIN` names a folder that it leads out of, through links also.

    Args:
        what: As in `resolve`.

    Raises:
        InputError: If it does.
    """
    folder = from_environment(WITHIN)
    if folder is None:
        return path
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        raise InputError(f"{what}: must be in the folder {folder}, and {path} is not; copy it there, or name another")
    return path


def writable_folder(path: Path, what: str) -> None:
    """Make a folder, unless it is there, that files can be put into.

    Args:
        what: As in `resolve`.

    Raises:
        InputError: If it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if disk_full(error):
            raise
        raise InputError(f"{what}: {path} cannot be made ({error.strerror}); choose another folder") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{what}: {path} must be a folder that can be written, and is not; choose another")


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file for SQLAlchemy, as MLflow and Optuna take it.

    >>> sqlite_uri(Path("/tmp/a b#c/ü.db"))
    'sqlite:////tmp/a b#c/ü.db'
    """
    if not {"?", "%"} & set(str(path)):  # written as it is: MLflow makes a folder of what stands before the file
        return f"sqlite:///{path}"
    from sqlalchemy import URL

    return str(URL.create("sqlite", database=str(path)))


def _without_dots(path: Path) -> Path:
    if ".." not in path.parts:
        return path
    short = Path(os.path.normpath(path))
    try:
        return short if short.samefile(path) else path  # behind a symbolic link, .. is not where it came from
    except OSError:  # it is not there yet, but what it is to be in may be
        return path if path.name == ".." else _without_dots(path.parent) / path.name
