"""Cuts sequences into training, validation and test, and draws a share of the users; all by whole arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import InputError
from trials.data.reading.interactions import Ints

NO_TARGET = -1
"""Stands for the validation or test item of a user who has none; such users train only."""


@dataclass(frozen=True)
class Cut:
    """Sequences cut in training, validation and test. Shape letters: `U` users, `E` training interactions, `T` targets.

    Args:
        train_items: `[E]` int32, users one after the other, oldest first.
        train_offsets: `[U + 1]` int64.
        valid_UT: `[U, T]` int32, every user's items after the training interactions, `NO_TARGET` where there are fewer.
        test_UT: `[U, T]` int32, the items after those, likewise.
        train_E: `[E]` int64, where in the uncut sequences the training interactions stand.
        valid_at_UT, test_at_UT: `[U, T]` int64, where the validation and the test interactions stand, or -1.
    """

    train_items: NDArray[np.int32]
    train_offsets: Ints
    valid_UT: NDArray[np.int32]
    test_UT: NDArray[np.int32]
    train_E: Ints
    valid_at_UT: Ints
    test_at_UT: Ints


def leave_one_out(users_E: Ints, items_E: Ints) -> Cut:
    """Cut the last item (test) and the second last (validation) off every user's sequence.

    Args:
        users_E: Sorted, 0..U-1 without gaps, at least three of each.
        items_E: In each user's order.
    """
    lengths_U = np.bincount(users_E)
    assert len(lengths_U) > 0
    assert lengths_U.min() >= 3
    return cut_after(users_E, items_E, lengths_U - 2)


def cut_after(users_E: Ints, items_E: Ints, trained_U: Ints, targets: int = 1) -> Cut:
    """Train on each user's first interactions; the next ones validate, the ones after them test, the rest is not used.

    Args:
        users_E: Sorted, 0..U-1 without gaps.
        items_E: In each user's order.
        trained_U: How many to train on, at least one.
        targets: How many validate at most, and how many test; with fewer than twice as many left, the first half of
            them validates, and one more where they are odd.
    """
    lengths_U = np.bincount(users_E)
    assert trained_U.min() >= 1
    ends_U = np.cumsum(lengths_U)
    starts_U = ends_U - lengths_U
    within_E = np.arange(len(items_E)) - np.repeat(starts_U, lengths_U)
    train_E = np.flatnonzero(within_E < np.repeat(trained_U, lengths_U))
    narrow_E = items_E.astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(trained_U, lengths_U))]).astype(np.int64)
    left_U = np.maximum(lengths_U - trained_U, 0)
    validated_U = np.minimum(targets, (left_U + 1) // 2)
    tested_U = np.minimum(targets, left_U - validated_U)

    def after(first_U: Ints, count_U: Ints) -> tuple[NDArray[np.int32], Ints]:
        places_T = np.arange(targets)
        at_UT = np.where(places_T < count_U[:, None], first_U[:, None] + places_T, -1)
        return np.where(at_UT >= 0, narrow_E[at_UT], np.int32(NO_TARGET)).astype(np.int32), at_UT

    valid_UT, valid_at_UT = after(starts_U + trained_U, validated_U)
    test_UT, test_at_UT = after(starts_U + trained_U + validated_U, tested_U)
    return Cut(narrow_E[train_E], offsets, valid_UT, test_UT, train_E, valid_at_UT, test_at_UT)


def count_users(num_users: int, fraction: float) -> int:
    """How many users a share is, rounded.

    Raises:
        InputError: If `fraction` is not in (0, 1], or is less than half a user.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"data fraction must lie in (0, 1], got {fraction}.")
    count = min(num_users, math.floor(fraction * num_users + 0.5))
    if not count:
        raise InputError(
            f"data fraction must be at least one of the {num_users:,} users, {1 / num_users:.3g}, got {fraction:g}; "
            "raise it."
        )
    return count


def select_users(num_users: int, fraction: float, seed: int) -> Ints:
    """`[n]` sorted rows of a share of the users.

    The users are the first n of one permutation a seed, so a smaller fraction's users are among a larger one's.

    Raises:
        InputError: As `count_users`.
    """
    count = count_users(num_users, fraction)
    if count == num_users:
        return np.arange(num_users, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).permutation(num_users)[:count]).astype(np.int64)


def places_of(offsets: Ints, rows_U: Ints) -> tuple[Ints, Ints]:
    """Where the elements of the ragged rows `rows_U` stand, in order, and those rows' offsets from 0."""
    starts_U, lengths_U = offsets[rows_U], np.diff(offsets)[rows_U]
    new_offsets = np.concatenate([[0], np.cumsum(lengths_U)]).astype(np.int64)
    # Position of each kept element: its row's start, plus how far into the row it stands.
    within = np.arange(new_offsets[-1]) - np.repeat(new_offsets[:-1], lengths_U)
    return np.repeat(starts_U, lengths_U) + within, new_offsets
