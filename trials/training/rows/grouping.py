"""Rows of similar length together, which saves padding and work: an epoch's batches, and what is read at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trials.data.preparing.dataset import IntArray

POOL = 16
"""Batches that are sorted by length together: long enough to save padding, short enough to stay random."""


def grouped(lengths: IntArray, size: int, rng: np.random.Generator, order: IntArray | None = None) -> list[IntArray]:
    """Rows batch by batch, of similar length, in an order drawn from `rng`.

    Args:
        lengths: Of each row.
        size: Rows of a batch; the last of a pool may have fewer.
        order: The rows in random order; None if they come in one.
    """
    order = np.arange(len(lengths)) if order is None else order
    batches: list[IntArray] = []
    for start in range(0, len(order), size * POOL):
        pool = order[start : start + size * POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def chunks(lengths: IntArray, budget: int) -> Iterator[IntArray]:
    """Rows sorted by length, cut where a chunk's tokens would exceed the budget."""
    order = np.argsort(lengths, kind="stable")
    start = total = 0
    for stop, row in enumerate(order):
        if total + lengths[row] > budget and stop > start:
            yield order[start:stop]
            start, total = stop, 0
        total += int(lengths[row])
    if len(order) > start:
        yield order[start:]
