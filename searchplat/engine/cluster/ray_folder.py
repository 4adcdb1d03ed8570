"""Where a Ray of our own keeps its files on this machine: its sockets need a path that the operating system takes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from searchplat import paths
from searchplat.engine.checkpoints.private_folder import PrivateFolder
from searchplat.errors import InputError

VARIABLE = "RAY_TMPDIR"
"""Ray's own variable: the folder that it puts its folder `ray` into."""

_MOST_BYTES = 107
"""Of a socket's path on Linux, as Ray's own check has it."""

_BELOW = "/ray/session_2026-11-29_12-59-59_123456_4194304/sockets/" + 16 * "x"
"""What Ray puts below; with the longest name that it gives a socket, and room for a number."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")
_PREFIX = "searchplat-ray-"


def check() -> None:
    """See to it that a Ray could be started here.

    Raises:
        InputError: If no folder fits.
    """
    _choose()


@contextmanager
def short_enough() -> Iterator[RayFolder]:
    """A folder for the files of a Ray of our own, for the time of the block: where Ray's would be anyhow, if they can.

    Otherwise it is one of our own, gone when the block ends.

    Raises:
        InputError: As `check`.
    """
    root, ours = _choose()
    if not ours:
        yield RayFolder({VARIABLE: str(root)}, {})
        return
    folder = PrivateFolder(root, _PREFIX)
    try:
        # Python's multiprocessing, in Ray's dashboard, has sockets in TMPDIR.
        variables = {VARIABLE: str(folder.path), "TMPDIR": str(folder.path)}
        yield RayFolder(variables, {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ})
    finally:
        folder.close()


@dataclass(frozen=True)
class RayFolder:
    """What a Ray that keeps its files there is started with.

    Args:
        variables: The environment of Ray's own processes, over this one's.
        workers: What workers get back of that.
    """

    variables: Mapping[str, str]
    workers: Mapping[str, str]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within it, a Ray that is started is there. No other thread may read the environment meanwhile."""
        tempfile.gettempdir()  # Python remembers the first answer: it must not be a folder that will be gone
        before = {name: os.environ[name] for name in self.variables if name in os.environ}
        os.environ.update(self.variables)
        try:
            yield
        finally:
            for name in self.variables:
                del os.environ[name]
            os.environ.update(before)


def _choose() -> tuple[Path, bool]:
    """The folder for Ray's folder, and whether it is a short one instead of what the environment says."""
    told = paths.from_environment(VARIABLE)
    wanted = told or paths.from_environment("TMPDIR") or Path("/tmp")
    why = _unfit(wanted)
    if why is None:
        return wanted, False
    if told is None:
        for place in map(Path, _SHORT):
            if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
                return place, True
    name = VARIABLE if told is not None else "TMPDIR"
    raise InputError(f"{name}: {why}; set {VARIABLE} to a short local folder, such as /tmp")


def _unfit(folder: Path) -> str | None:
    """Why Ray cannot keep its files in a folder; None if it can."""
    most = _MOST_BYTES - len(_BELOW)
    if (length := len(os.fsencode(folder))) > most:
        return f"Ray's sockets need a folder whose path has at most {most} bytes, got {length} in {str(folder)!r}"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return f"Ray needs a folder that can be written, got {str(folder)!r}"
    return None
