"""Whose lists are wanted: everybody's, or those of the users that a file names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import InputError

_LINES = 1 << 20
"""Of a file of users that are compared with near ones at most, where one is not known."""


def rows_of(users: Sequence[str], path: Path | None) -> NDArray[np.int64]:
    """Rows of the users that a file names, one a line, in its order; of all users if there is no file.

    Args:
        users: What the data set's files call them.
        path: UTF-8; empty lines are passed over.

    Raises:
        InputError: If it cannot be read, names nobody, somebody twice, or somebody who is not in the data.
    """
    if path is None:
        return np.arange(len(users), dtype=np.int64)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--users {path}: cannot be read ({error}); give a text file with a user a line") from error
    row_of = {name: row for row, name in enumerate(users)}
    found: dict[int, int] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name:
            continue
        row = row_of.get(name)
        if row is None:
            near = difflib.get_close_matches(name, list(row_of)[:_LINES], n=3)
            hint = f"; near it are {', '.join(map(repr, near))}" if near else "; take ids as the data's files have them"
            raise InputError(f"--users {path}:{number} user {name!r} is none of the data's {len(users):,} users{hint}")
        if row in found:
            raise InputError(
                f"--users {path}:{number} user {name!r} must stand there once, as line {found[row]} has it"
            )
        found[row] = number
    if not found:
        raise InputError(f"--users {path}: must name users, one a line, got none")
    return np.fromiter(found, dtype=np.int64, count=len(found))
