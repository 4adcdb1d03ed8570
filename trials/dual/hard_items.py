"""Hard items: similar to an item, but never together with it in any user's history (Appendix A).

Shape letters: `U` users, `N` items, `D` width of an item's vector.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from searchplat.contract import AssetSource
from trials.backbones.encoders.text_encoder import text_embeddings
from trials.data.preparing.dataset import SearchData
from trials.data.whole_files import write_atomically
from trials.dual.config import DualConfig
from trials.nn.ragged import Ragged

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]

_CHUNK = 256
"""Rows of a distance matrix, or of the co-occurrence matrix, at once: 0.1 GB each with 50,000 items."""

_DIGITS = 10
"""Decimals of a squared distance, as a share of the largest squared norm, below which items are equally near."""

_SEED = 0
"""Fixed: hard items belong to the data, not to a trial."""


def load_hard_items(config: DualConfig, data: SearchData, assets: AssetSource) -> Ragged:
    """Hard items of every item, made once for these data and settings and kept in the cache.

    They depend on the training sequences of the selected users only. Safe to ask from several processes.
    """
    key = f"2 {data.fingerprint} {config.text_encoder} {config.hard_fraction} {config.hard_mf_width}"
    path = assets.folder("prepared", "hard-items") / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    if not path.exists():
        made = hard_items(
            text_embeddings(config.text_encoder, data.sentences, assets),
            interaction_matrix(data),
            fraction=config.hard_fraction,
            mf_width=config.hard_mf_width,
        )
        write_atomically(path, lambda file: np.savez(file, values=made.values, offsets=made.offsets))
    with np.load(path, allow_pickle=False) as stored:
        return Ragged(stored["values"], stored["offsets"])


def hard_items(text_ND: FloatArray, seen_UN: sparse.csr_array, *, fraction: float, mf_width: int) -> Ragged:
    """The set N_j of every item j, sorted.

    N_j is the nearest `fraction` of the items by L2 distance of text vectors, united with as many by L2 distance of
    factorisation vectors, less j and every item that some user has together with j. Of equally near items the first
    are taken: the paper says nothing of them.

    Args:
        text_ND: Text vectors.
        seen_UN: 1 where a user interacted with an item in training.
        fraction: Share of N, in (0, 1]; at least one item.
        mf_width: Width of the factorisation.

    Returns:
        One row an item. Differs from the paper where N_j would be empty: the row then holds as many items drawn at
        random among those never together with j, and stays empty only if there is none.

    Source: DARec, Appendix A.
    """
    num_items = seen_UN.shape[1]
    count = min(max(1, math.ceil(fraction * num_items)), num_items - 1)
    mf_ND = mf_item_vectors(seen_UN, mf_width)
    rng = np.random.default_rng(_SEED)
    rows: list[IntArray] = []
    for start in range(0, num_items, _CHUNK):
        chunk = np.arange(start, min(start + _CHUNK, num_items))
        near = _nearest(text_ND, chunk, count) | _nearest(mf_ND, chunk, count)
        together = np.asarray((seen_UN[:, chunk].T @ seen_UN).todense() > 0)
        together[np.arange(len(chunk)), chunk] = True
        for near_N, barred_N in zip(near, together, strict=True):
            kept = np.flatnonzero(near_N & ~barred_N)
            if not len(kept):
                free = np.flatnonzero(~barred_N)
                kept = np.sort(rng.choice(free, size=min(count, len(free)), replace=False))
            rows.append(kept)
    return Ragged.of(rows)


def mf_item_vectors(seen_UN: sparse.csr_array, width: int) -> FloatArray:
    """Item vectors `[N, K]` of the best factorisation `X ≈ P Qᵀ` in least squares: the truncated SVD's `V Σ`.

    `K = min(width, min(U, N) - 1)`, the most that the solver gives. The paper does not say which factorisation it
    uses; with this one, distances between the vectors are distances between the columns of X as far as rank K
    reproduces them, and nothing is random but the solver's start, which has a fixed seed.
    """
    shortest = min(seen_UN.shape)
    rank = min(width, shortest - 1)
    if rank < 1:
        return np.zeros((seen_UN.shape[1], 1))
    start = np.random.default_rng(_SEED).standard_normal(shortest)
    _, sigma_K, v_KN = svds(seen_UN.astype(np.float64), k=rank, v0=start)
    vectors_NK: FloatArray = (sigma_K[:, None] * v_KN).T
    return vectors_NK


def interaction_matrix(data: SearchData) -> sparse.csr_array:
    """`X [U, N]`, 1 where a user interacted with an item in training."""
    users = np.repeat(np.arange(data.num_users), np.diff(data.train_offsets))
    ones = np.ones(len(users), dtype=np.float32)
    matrix = sparse.csr_array((ones, (users, data.train_items)), shape=(data.num_users, data.num_items))
    matrix.data[:] = 1.0  # an item interacted with twice counts once
    return matrix


def _nearest(vectors_ND: FloatArray, rows: IntArray, count: int) -> BoolArray:
    """Mask `[rows, N]` of the `count` nearest other items by L2 distance; of equally near ones the first.

    Items that the same users saw, or nobody, are equally near. What rounding leaves of their difference depends on the
    processor, so it must not choose among them.
    """
    vectors_ND = vectors_ND.astype(np.float64)
    squares_N = np.square(vectors_ND).sum(1)
    # |a - b|² less |a|², which is the same for all candidates of a row.
    distance = squares_N - 2 * vectors_ND[rows] @ vectors_ND.T
    distance /= squares_N.max() or 1.0
    np.round(distance, _DIGITS, out=distance)
    distance[np.arange(len(rows)), rows] = np.inf
    furthest = np.partition(distance, count - 1, axis=1)[:, count - 1 : count]
    nearer, tied = distance < furthest, distance == furthest
    places = count - nearer.sum(1, keepdims=True)
    nearest: BoolArray = nearer | (tied & (np.cumsum(tied, axis=1) <= places))
    return nearest
