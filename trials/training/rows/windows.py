"""Windows of training sequences: what models with a longest history train on. Shape letters: `U` users, `W` windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import InputError
from trials.data.preparing.dataset import Queries, SearchData

Ints = NDArray[np.int64]


def windows(
    offsets: NDArray[np.integer[Any]],
    max_length: int,
    stride: int,
    skip_U: NDArray[np.integer[Any]] | None = None,
) -> Ints:
    """Cut training sequences into windows of at most `max_length` inputs and the target after the last.

    The windows of a sequence end at its end and every `stride` items before, until the first covers its start, so
    that the latest targets have the longest histories, as in evaluation. Sequences of one item have no target.

    Args:
        offsets: `[U + 1]`; sequence u is `items[offsets[u]:offsets[u + 1]]`.
        skip_U: Items to leave out at the end of every sequence; by default none.

    Returns:
        `[W, 2]` first index and stop of each window.

    >>> windows(np.array([0, 1, 8]), max_length=3, stride=3).tolist()
    [[4, 8], [1, 5]]
    """
    rows = []
    stops = offsets[1:] if skip_U is None else offsets[1:] - skip_U
    for first, stop in zip(offsets[:-1].tolist(), stops.tolist(), strict=True):
        end = stop
        while end - first >= 2:
            start = max(first, end - max_length - 1)
            rows.append((start, end))
            if start == first:
                break
            end -= stride
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def refuse_untrainable(data: SearchData) -> None:
    """Refuse data in which no selected user has a next item to learn from.

    Raises:
        InputError: If no user has two training items.
    """
    if not (np.diff(data.train_offsets) >= 2).any():
        raise InputError(
            f"data {data.name!r}: training needs a user with two training items, but none of the {data.num_users} "
            "selected users has them; raise the share of users"
        )


def rows_of(items: NDArray[np.integer[Any]], windows_B2: Ints) -> Queries:
    """The items of some windows as ragged rows, of no user in particular."""
    taken = np.concatenate([items[first:stop] for first, stop in windows_B2])
    offsets = np.concatenate([[0], np.cumsum(windows_B2[:, 1] - windows_B2[:, 0])])
    return Queries(np.full(len(windows_B2), -1), taken, offsets)
