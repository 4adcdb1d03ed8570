"""Sampled negatives: for each user a few items that the user never met, drawn once with a seed and kept.

Sampled metrics are not full-ranking metrics and rank models differently; they are here because some papers report
them (CRAMER: uniform; Prompt-BERT: by popularity).
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.data.preparing.dataset import FinalData, IntArray, SearchData
from trials.data.preparing.selection import NO_TARGET
from trials.data.whole_files import write_atomically

By = Literal["uniform", "popularity"]

VERSION = 1
"""Part of a stored draw's name: raise it when the same arguments would give other items."""

UNSEEN_WEIGHT = 1e-6
"""Weight, in interactions, of an item nobody trained on: drawn only when a user has no other candidates left."""

CELLS = 1 << 22
"""Users are handled in blocks of at most this many user-item cells, which bounds memory (about 100 MB)."""


def sample_negatives(data: SearchData | FinalData, count: int, seed: int, by: By = "uniform") -> NDArray[np.int32]:
    """Draw `count` distinct items a user, none of which the user ever interacted with.

    With `SearchData` training and validation items are excluded, with `FinalData` the test items as well. Drawing by
    popularity takes an item with probability proportional to its training interactions, without replacement.

    Args:
        data: Whose users and items.
        count: Negatives a user.
        seed: Equal seeds give equal draws for equal data.
        by: `uniform` or `popularity`.

    Returns:
        `[U, count]` item indices, in no particular order.

    Raises:
        InputError: If some user has fewer than `count` items left.
    """
    search = data.search if isinstance(data, FinalData) else data
    users, items = search.num_users, search.num_items
    met = _met(search, data)
    left_U = items - np.bincount(met // items, minlength=users)
    if count < 1 or (users and left_U.min() < count):
        raise InputError(
            f"data {search.name}: the number of sampled negatives must lie in [1, {int(left_U.min())}], since a user "
            f"has met all but that many of the {items} items, got {count}; ask for fewer or rank all items.",
            fields=("sampled_negatives",),
        )
    weights_N = np.ones(items) if by == "uniform" else np.maximum(search.popularity_N(), UNSEEN_WEIGHT)
    log_weights_N = np.log(weights_N)
    rng = np.random.default_rng(seed)
    drawn = np.empty((users, count), dtype=np.int32)
    block = max(1, CELLS // items)
    for start in range(0, users, block):
        stop = min(start + block, users)
        # Gumbel top-k: the k largest of log-weight plus Gumbel noise are k draws by weight without replacement.
        keys_BN = rng.gumbel(size=(stop - start, items)) + log_weights_N
        low, high = np.searchsorted(met, (start * items, stop * items))
        keys_BN.reshape(-1)[met[low:high] - start * items] = -np.inf
        drawn[start:stop] = np.argpartition(-keys_BN, count - 1, axis=1)[:, :count]
    return drawn


def stored_negatives(
    data: SearchData | FinalData, assets: AssetSource, count: int, seed: int, by: By = "uniform"
) -> NDArray[np.int32]:
    """`sample_negatives`, drawn once and kept in the cache folder: every trial ranks against the same items.

    Raises:
        InputError: As `sample_negatives`.
    """
    search = data.search if isinstance(data, FinalData) else data
    digest = hashlib.sha256(f"{VERSION} {search.fingerprint} {count} {seed} {by}\n".encode())
    if isinstance(data, FinalData):
        for test in (data.test_target_U, data.more_test_UM):
            digest.update(np.asarray(test, dtype=np.int32).tobytes())
    path = assets.folder("negatives") / f"{digest.hexdigest()[:32]}.npy"
    with FileLock(f"{path}.lock"):
        if not path.is_file():
            drawn = sample_negatives(data, count, seed, by)
            write_atomically(path, lambda file: np.save(file, drawn))
    stored: NDArray[np.int32] = np.load(path, allow_pickle=False)
    return stored


def _met(search: SearchData, data: SearchData | FinalData) -> NDArray[np.int64]:
    """Sorted cells `user * N + item` of everything that users interacted with."""
    rows_U = np.arange(search.num_users, dtype=np.int64)
    parts = [(np.repeat(rows_U, np.diff(search.train_offsets)), search.train_items)]
    targets: list[IntArray] = [search.valid_target_U, *np.asarray(search.more_valid_UM).T]
    if isinstance(data, FinalData):
        targets += [data.test_target_U, *np.asarray(data.more_test_UM).T]
    for targets_U in targets:
        there_U = np.asarray(targets_U) != NO_TARGET
        parts.append((rows_U[there_U], targets_U[there_U]))
    return np.unique(np.concatenate([users * search.num_items + items for users, items in parts]))
