"""Requests to a running search: small files in its folder `requests/`, which whoever asks and the driver share.

    somebody   <id>.json    -> the driver: into the ledger, as an event -> <id>.answer -> the request's file goes
    driver     driver       who takes requests now; a request is for that run

Files, because only the driver writes to the ledger, and because an SQLite file cannot be shared by several machines. A
request is there whole or not at all, survives whoever wrote it, and goes once the ledger has it. Ids are in the order
of the askers' clocks. Next: `post`, the driver's end.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from searchplat.errors import InputError, disk_full

Action = Literal["stop", "stop-trial", "pause", "resume", "set"]
Outcome = Literal["done", "unchanged", "refused"]

FOR_ONE_RUN = ("stop", "pause", "resume")
"""Actions that mean the run that was going on when they were asked for; the others hold for a later one too."""

_REQUEST = re.compile(r"(\d{20}-[0-9a-f]{12})\.json")
_DRIVER = "driver"
_MOST_BYTES = 1 << 16
_OLD_S = 3600.0
"""Age from which on a file that was not written to its end is nobody's any more."""

_Record = TypeVar("_Record", bound="_Frozen")


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Request(_Frozen):
    """What somebody wants of a running search.

    Args:
        id: Its file's name, without the ending.
        run: Of the driver that was at work when it was made.
        by: Who made it, `name@host`.
        at: When, a unix time of that host's clock.
        trial: Of `stop-trial`.
        now: Of `pause`: do not wait for running trials to end.
        changes: Of `set`: key and number, None for no bound.
    """

    id: str = Field(pattern=r"^\d{20}-[0-9a-f]{12}$")
    run: str = Field(max_length=64)
    action: Action
    by: str = Field(max_length=200)
    at: float = Field(allow_inf_nan=False)
    trial: int | None = Field(None, ge=0)
    now: bool = False
    changes: dict[str, int | None] = Field(default_factory=dict)
    wait: bool = True
    """Whether somebody waits for the answer."""


class Answer(_Frozen):
    """What became of a request: it was carried out, changed nothing, or was refused; `said` is a sentence."""

    outcome: Outcome
    said: str


class Driver(_Frozen):
    """Who takes requests now.

    Args:
        run: New for every run.
        work: What it does.
    """

    run: str
    work: Literal["search", "promotion"]
    host: str
    pid: int
    since: float


class RequestFolder:
    """The files.

    Args:
        path: `runs/<search>/requests`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # ------------------------------------------------------------------ who asks

    def driver(self) -> Driver | None:
        """Who takes requests; whether it still lives, the search's lock says."""
        return _read(self.path / _DRIVER, Driver)

    def put(self, request: Request) -> None:
        """Write a request, so that it survives this process and machine.

        Raises:
            InputError: If this user may not write here.
        """
        try:
            _write(self.path, f"{request.id}.json", request)
        except OSError as error:
            if disk_full(error):
                raise
            raise InputError(
                f"{self.path}: a request cannot be written there ({error.strerror}); a search is steered by who may "
                "write in its folder: ask for that, or ask who runs it"
            ) from error

    def withdraw(self, request: Request) -> bool:
        """Take a request back; False if it has been taken."""
        try:
            (self.path / f"{request.id}.json").unlink()
        except OSError:
            return False
        return True

    def open(self, request: Request) -> bool:
        """Whether a request has not been taken yet."""
        return (self.path / f"{request.id}.json").exists()

    def answer(self, request: Request) -> Answer | None:
        """The answer to a request, once; None while there is none."""
        path = self.path / f"{request.id}.answer"
        found = _read(path, Answer)
        if found is not None:
            with suppress(OSError):
                path.unlink()
        return found

    # ------------------------------------------------------------------ the driver

    def enter(self, driver: Driver) -> None:
        """Say that requests are taken from now on; what earlier runs left unread goes."""
        self.path.mkdir(exist_ok=True)
        for path in self.path.iterdir():
            with suppress(OSError):
                if path.suffix == ".answer" or (path.suffix == ".part" and time.time() - path.stat().st_mtime > _OLD_S):
                    path.unlink()
        _write(self.path, _DRIVER, driver)

    def leave(self) -> None:
        """Requests are taken no more."""
        with suppress(OSError):
            (self.path / _DRIVER).unlink()

    def waiting(self) -> list[str]:
        """Ids of the requests that are there, in their order. What has no request's name is left alone."""
        try:
            names = sorted(os.listdir(self.path))
        except OSError:
            return []
        return [found[1] for name in names if (found := _REQUEST.fullmatch(name))]

    def read(self, id_: str) -> Request | None:
        """A request; None if it is gone, or is none."""
        path = self.path / f"{id_}.json"
        request = _read(path, Request)
        if request is None or request.id != id_:
            return None
        # The name is that of the file's owner: what the file says of itself anybody could have written.
        with suppress(OSError):
            host = request.by.rpartition("@")[2]
            return request.model_copy(update={"by": f"{_name_of(path.lstat().st_uid)}@{host}"})
        return None

    def settle(self, id_: str, answer: Answer | None) -> None:
        """Answer a request that the ledger has, and remove it."""
        with suppress(OSError):  # nobody hears of it, which the event does not need
            if answer is not None:
                _write(self.path, f"{id_}.answer", answer)
        with suppress(OSError):
            (self.path / f"{id_}.json").unlink()


def new_request(
    run: str,
    action: Action,
    *,
    trial: int | None = None,
    now: bool = False,
    changes: dict[str, int | None] | None = None,
    wait: bool = True,
) -> Request:
    """A request of this process's user, made now."""
    return Request(
        id=f"{time.time_ns():020d}-{secrets.token_hex(6)}",
        run=run,
        action=action,
        by=this_user(),
        at=time.time(),
        trial=trial,
        now=now,
        changes=changes or {},
        wait=wait,
    )


def this_user() -> str:
    """Who runs this process, `NAME@HOST`."""
    return f"{_name_of(os.geteuid())}@{socket.gethostname()}"[:200]


def this_driver(work: Literal["search", "promotion"]) -> Driver:
    """This process, in a new run."""
    return Driver(run=secrets.token_hex(8), work=work, host=socket.gethostname(), pid=os.getpid(), since=time.time())


def words(request: Request) -> str:
    """A request as the command line has it, without the search: `stop --trial 3`, `set trials=9`."""
    match request.action:
        case "stop-trial":
            return f"stop --trial {request.trial}"
        case "pause":
            return "pause --now" if request.now else "pause"
        case "set":
            changes = (f"{key}={'null' if value is None else value}" for key, value in request.changes.items())
            return f"set {' '.join(changes)}"
    return request.action


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # known to another machine, or to a container's outside
        return str(user)


def _write(folder: Path, name: str, content: _Frozen) -> None:
    """Write a file whole, or not at all, onto the disk."""
    part = folder / f".{name}-{secrets.token_hex(4)}.part"
    try:
        with part.open("x", encoding="utf-8") as out:
            out.write(content.model_dump_json())
            out.flush()
            os.fsync(out.fileno())
        part.rename(folder / name)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, kind: type[_Record]) -> _Record | None:
    """What a file holds; None if it is no plain small file, or holds something else."""
    try:
        # What is no file may be a pipe, on which an ordinary open waits, or a link to a file of somebody else's.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
            return None
        return kind.model_validate_json(os.read(descriptor, _MOST_BYTES))
    except (OSError, ValidationError):
        return None
    finally:
        os.close(descriptor)
