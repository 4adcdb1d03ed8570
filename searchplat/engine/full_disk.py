"""A full disk is no failure of a search: it goes on once there is space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from searchplat.errors import TryAgainError, disk_full


@contextmanager
def full_disk_is_for_later() -> Iterator[None]:
    """Within it, an error of a full disk becomes a `TryAgainError`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, TryAgainError) or not disk_full(error):
            raise
        raise TryAgainError(f"{error}; free some space and run the same command again") from error
