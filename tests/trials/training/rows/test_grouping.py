from __future__ import annotations

import numpy as np
import pytest

from trials.training.rows.grouping import POOL, chunks, grouped


@pytest.mark.parametrize("count", [0, 1, 5, 3 * POOL * 2 + 1])
def test_batches_hold_every_row_once_and_those_of_a_pool_are_of_similar_length(count: int) -> None:
    rng = np.random.default_rng(0)
    lengths, order = rng.integers(1, 50, size=count), rng.permutation(count)
    batches = grouped(lengths, 2, np.random.default_rng(1), order)
    assert sorted(row for batch in batches for row in batch) == list(range(count))
    assert all(len(batch) <= 2 for batch in batches)
    assert len(batches) == -(-count // 2)
    for start in range(0, count, 2 * POOL):
        pool = set(order[start : start + 2 * POOL].tolist())
        of_pool = sorted(tuple(sorted(lengths[batch])) for batch in batches if set(batch.tolist()) <= pool)
        assert [length for batch in of_pool for length in batch] == sorted(lengths[list(pool)])


def test_rows_that_come_in_random_order_need_no_other() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, size=40)
    one, other = (grouped(lengths, 4, np.random.default_rng(1), order) for order in (None, np.arange(40)))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_chunks_keep_to_the_budget_unless_a_single_row_is_longer() -> None:
    found = [rows.tolist() for rows in chunks(np.array([3, 9, 1, 4, 4]), 8)]
    assert found == [[2, 0, 3], [4], [1]]
    assert list(chunks(np.zeros(0, dtype=np.int64), 8)) == []
