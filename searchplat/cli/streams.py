"""Standard streams that are closed, full, or whose terminal has gone, and sizes of a terminal that are none."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from searchplat.errors import TryAgainError


class OutputError(OSError):
    """What was written to stdout or stderr cannot go out; its text is a sentence for a person."""

    exit_code = TryAgainError.exit_code

    def __str__(self) -> str:
        if self.errno == errno.EIO:
            return "the terminal has gone"
        if self.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"no space left where the output goes ({self.strerror}); free some and run the same command again"
        return f"nothing can be written where the output goes ({self.strerror})"


class _Out(io.FileIO):
    """A standard stream that tells its own errors from those of files."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:  # `searchplat trials x | head`: click ends quietly
            raise
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error


def mend() -> None:
    """Make the process's streams fit to be written to; called before anything is.

    A closed one leads nowhere: else the next file that is opened, a ledger say, would take its number, and get what
    libraries and other processes print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _lead_nowhere(number)
    sys.stdout, sys.stderr = _stream(1, sys.stdout), _stream(2, sys.stderr)
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "1")
        if not (size.isascii() and size.isdigit() and int(size) > 0):
            del os.environ[name]


def settle(code: int) -> int:
    """Write out what is left; return the exit code, another one than `code` only where that says all went well."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            _lead_nowhere(number)  # Python would complain at its end
            if code == 0 and isinstance(error, OutputError):
                with suppress(OSError):
                    print(f"error: {error}", file=sys.stderr, flush=True)
            code = code or getattr(error, "exit_code", 1)
    return code


@contextmanager
def outlived(code: int) -> Iterator[None]:
    """Within it, output that cannot go out leaves the exit code of what was done as it is, unless that is 0."""
    try:
        yield
    except OutputError:
        if code == 0:
            raise


def _stream(number: int, before: io.TextIOWrapper | Any) -> io.TextIOWrapper:
    # A terminal without Unicode shows ? instead of an error.
    at_once = number == 2 or before is None or before.line_buffering or before.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(_Out(number, "w", closefd=False)),
        encoding="utf-8" if before is None else before.encoding, errors="replace", line_buffering=at_once,
    )  # fmt: skip


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
