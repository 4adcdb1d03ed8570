"""Lists made batch by batch in this process, or by several processes of Ray, and written in order.

Batches are cut the same way whoever makes them, and each is scored by one thread: so the same lists come out, to the
last digit, however many processes there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchplat.contract import AssetSource, Listing, ListingMethod
from searchplat.errors import InputError
from searchplat.lists.chosen import rows_of
from searchplat.lists.files import check_place, writing
from searchplat.methods import imports_allowed, load_method

LARGE = 200_000
"""From this many users on, lists are made by as many processes as there are cores, unless somebody says how many."""

Batch = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]
"""Rows of users, item rows and scores."""

Progress = Callable[[int, int], None]
"""Called with the users done and the users in all."""


@dataclass(frozen=True)
class Wanted:
    """Which lists.

    Args:
        folder: A package, or a final training's folder.
        method: Its method's name.
        top: Items of a list, >= 1.
        repeats: Whether to list items of the history as well; None for what the data set's `rank_met` says.
        allow_import: Whether the method may be named `module:attribute`; by default as in this process.
    """

    folder: Path
    method: str
    top: int
    repeats: bool | None = None
    allow_import: bool = field(default_factory=imports_allowed)


@dataclass(frozen=True)
class Made:
    """What was written."""

    users: int
    rows: int
    workers: int


def open_listing(wanted: Wanted, assets: AssetSource) -> Listing:
    """The model with its users.

    Raises:
        InputError: If its method makes no lists, or as `ListingMethod.listing`.
    """
    method = load_method(wanted.method)
    if not isinstance(method, ListingMethod):
        raise InputError(f"method {wanted.method!r} cannot make lists for all users: it has no `listing`")
    return method.listing(wanted.folder, assets)


def batches(listing: Listing, wanted: Wanted, rows_U: NDArray[np.int64]) -> Generator[Batch]:
    """The lists of these users, in order."""
    for number in range(count_batches(listing, rows_U)):
        yield one_batch(listing, wanted, rows_U, number)


def count_batches(listing: Listing, rows_U: NDArray[np.int64]) -> int:
    """How many batches there are."""
    return -(-len(rows_U) // listing.batch_size)


def one_batch(listing: Listing, wanted: Wanted, rows_U: NDArray[np.int64], number: int) -> Batch:
    """One of them."""
    rows_B = rows_U[number * listing.batch_size : (number + 1) * listing.batch_size]
    return (rows_B, *listing.top(rows_B, wanted.top, repeats=wanted.repeats))


def make(
    wanted: Wanted, out: Path, users: Path | None, workers: int | None, assets: AssetSource, progress: Progress
) -> Made:
    """Write the lists of all users, or of those that a file names.

    Args:
        out: `.parquet`, `.csv` or `.jsonl`; there is the whole file afterwards, or the one that was there before.
        workers: Processes; None for one, and for many users as many as there are cores.

    Raises:
        InputError: If something that was given is wrong; nothing is written then.
    """
    check_place(out)
    listing = open_listing(wanted, assets)
    rows_U = rows_of(listing.users, users)
    if workers is None:
        workers = (os.cpu_count() or 1) if len(rows_U) >= LARGE else 1
    workers = min(workers, count_batches(listing, rows_U))
    made = batches(listing, wanted, rows_U)
    if workers > 1:
        from searchplat.engine.lists_on_ray import batches_on_ray

        made = batches_on_ray(wanted, rows_U, count_batches(listing, rows_U), workers)
    written = done = 0
    # Closed whatever happens, so that Ray is.
    with writing(out, listing.items) as writer, closing(made):
        for rows_B, items_BK, scores_BK in made:
            written += writer.write([listing.users[row] for row in rows_B.tolist()], items_BK, scores_BK)
            done += len(rows_B)
            progress(done, len(rows_U))
    return Made(len(rows_U), written, workers)
