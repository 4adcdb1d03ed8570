"""Where a search lives: `runs/<search>/` with its space, ledger, checkpoints and lock."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from searchplat import paths
from searchplat.errors import InputError, TryAgainError, barred, disk_full
from searchplat.ledger import Ledger

NAME_RULE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LOCK = "lock"


def runs_root() -> Path:
    """The folder of all searches: `SEARCHPLAT_RUNS`, or `runs` in the working directory."""
    return paths.from_environment("SEARCHPLAT_RUNS") or paths.resolve("runs", "SEARCHPLAT_RUNS")


def list_searches(root: Path) -> list[str]:
    """Names of all searches under `root`, sorted; none where it does not exist.

    Raises:
        InputError: If it is no folder, or may not be read.
    """
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(barred(error) or f"{root}: the searches there cannot be listed ({error.strerror})") from error
    return sorted(n for n in names if NAME_RULE.fullmatch(n) and os.path.lexists(root / n / "ledger.sqlite"))


class SearchFolder:
    """Paths of one search.

    Raises:
        InputError: If the name breaks the rule `[a-z0-9][a-z0-9._-]{0,63}`.
    """

    def __init__(self, root: Path, name: str) -> None:
        if not isinstance(name, str) or not NAME_RULE.fullmatch(name):
            raise InputError(
                f"search name {name!r}: must match {NAME_RULE.pattern} (small letters, digits, '.', '_', '-'); "
                "choose another"
            )
        self.name = name
        self.path = paths.resolve(root, "--runs") / name
        self.ledger_path = self.path / "ledger.sqlite"
        self.checkpoints = self.path / "checkpoints"
        self.space_path = self.path / "space.yaml"
        self.scratch = self.path / "scratch"
        self.requests = self.path / "requests"

    def exists(self) -> bool:
        """Whether the search was started before."""
        # A link whose disk is not there is no reason to begin anew in its place.
        return self.ledger_path.exists() or self.ledger_path.is_symlink()

    def read(self) -> Ledger:
        """The search's ledger, for reading.

        Raises:
            InputError: If there is no such search.
        """
        self.check_exists()
        return Ledger.read(self.ledger_path)

    def check_exists(self) -> None:
        """Raise `InputError` if there is no such search."""
        if not self.exists():
            known = ", ".join(list_searches(self.path.parent)) or "none"
            raise InputError(f"search {self.name!r} does not exist in {self.path.parent}; there are: {known}")

    def running(self) -> bool:
        """Whether a driver holds the search now. Writes nothing, for who may only read."""
        try:
            descriptor = os.open(self.path / _LOCK, os.O_RDONLY)
        except OSError:  # nobody ever held it
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the kind of lock that `FileLock` takes
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the search's lock; the operating system frees it should this process be killed.

        Raises:
            TryAgainError: If another driver holds it.
            InputError: If the folder cannot be written.
        """
        paths.writable_folder(self.path, f"search {self.name!r}")
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise TryAgainError(
                f"search {self.name!r} is being run by another process; wait for it, or choose another --name"
            ) from error
        except (OSError, NotImplementedError) as error:  # the latter where the disk knows no locks
            if disk_full(error):
                raise
            raise InputError(
                f"search {self.name!r}: {self.path / 'lock'} cannot be locked ({error}); remove it if no search runs "
                "there, or choose another folder"
            ) from error
        try:
            # A driver that was killed could not say that it takes no more requests (`engine.steering`).
            with suppress(OSError):
                (self.requests / "driver").unlink()
            yield
        finally:
            with suppress(OSError):
                if os.listdir(self.path) == [_LOCK]:  # refused before there was anything to keep
                    (self.path / _LOCK).unlink()
                    self.path.rmdir()
            lock.release()
