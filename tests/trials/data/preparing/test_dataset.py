from __future__ import annotations

import numpy as np
import pytest
from method_cases import as_queries

HISTORIES = [[1, 2], [3], [4, 5, 6], [7]]


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 2, 0, 2], [1], []])
def test_queries_are_those_of_the_rows_in_their_order(rows: list[int]) -> None:
    chosen = as_queries(HISTORIES).of(np.array(rows, dtype=np.int64))
    assert len(chosen) == len(rows)
    assert [chosen.history(b).tolist() for b in range(len(chosen))] == [HISTORIES[row] for row in rows]
