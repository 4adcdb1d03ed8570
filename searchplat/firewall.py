"""The test split's firewall: who may open it, and when.

A search must be unable to look at the test split, not merely polite enough not to. While a process is sealed,
which it is whenever a trial's code runs in it, no `TestPermit` can be made, and the files of
`TEST_FILE` and `TEST_REQUESTS` cannot be opened for reading: an audit hook, which nothing can take away again,
refuses. A permit is made by `searchplat.promotion.permit` alone, after the opening was counted in the search's ledger.

It guards against mistakes and against convenience. Code that is out to cheat can still read a data set's raw files.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from pathlib import PurePath
from typing import Any

from searchplat.errors import TestSplitError

TEST_FILE = "test.npy"
"""Prepared data keeps the test targets in a file of this name, and nothing else in it."""

TEST_REQUESTS = "test_requests"
"""Prepared data keeps what was asked before the test targets in files whose names begin so, up to the first dot."""

ISSUER = object()
"""What `searchplat.promotion.permit` shows to be believed; a test sees to it that nobody else refers to it."""

_lock = threading.Lock()
_seals = 0
_hooked = False


@dataclass(frozen=True)
class TestPermit:
    """Leave to open the test split, for one test of one final run.

    Args:
        search: The search's name.
        promotion: The promotion's number.
        opening: How often the test split has now been opened for this search.

    Raises:
        TestSplitError: If promotion did not make it, or a trial's code is running in this process.
    """

    __test__ = False  # not a test of pytest's

    search: str
    promotion: int
    opening: int
    issuer: InitVar[object]

    def __post_init__(self, issuer: object) -> None:
        refuse_if_sealed("make a permit for the test split")
        if issuer is not ISSUER:
            raise TestSplitError(
                "a permit for the test split is made by promotion alone; winners are tested by: searchplat promote"
            )


def is_sealed() -> bool:
    """Whether the test split is out of reach in this process now."""
    return _seals > 0


def refuse_if_sealed(what: str) -> None:
    """Raise if the test split is out of reach.

    Args:
        what: What was tried, as in "cannot <what>".

    Raises:
        TestSplitError: If it is.
    """
    if is_sealed():
        raise TestSplitError(
            f"a trial cannot {what}; measure on validation, and let `searchplat promote` test the winners"
        )


def seal() -> None:
    """Put the test split out of this process's reach for good."""
    global _seals
    _hook()
    with _lock:
        _seals += 1


@contextmanager
def sealed() -> Iterator[None]:
    """Put the test split out of reach within the block."""
    global _seals
    seal()
    try:
        yield
    finally:
        with _lock:
            _seals -= 1


def _hook() -> None:
    global _hooked
    with _lock:
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked = True


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    # Called for everything that Python audits: quick, and quiet about anything that is not a path.
    if not _seals or event not in _GUARDED:
        return
    for path in arguments[: _GUARDED[event]]:
        if isinstance(path, (str, bytes, os.PathLike)) and _guards(path):
            if event == "open" and _writes(*arguments[1:3]):
                return
            refuse_if_sealed(f"open {os.fsdecode(path)}")


_GUARDED = {"open": 1, "os.rename": 1, "os.link": 1, "os.symlink": 1}
"""Audit events by the number of leading arguments that are paths to look at."""


def _guards(path: str | bytes | os.PathLike[Any]) -> bool:
    found = PurePath(os.fsdecode(path))
    # Data that is being prepared lies in a folder whose name begins with a dot until it is whole.
    guarded = found.name == TEST_FILE or found.name.startswith(f"{TEST_REQUESTS}.")
    return guarded and not found.parent.name.startswith(".")


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return not ("r" in mode or "+" in mode)
    return isinstance(flags, int) and bool(flags & os.O_WRONLY)
