from __future__ import annotations

import numpy as np

from trials.nn.ragged import Ragged


def test_rows_are_packed_taken_and_read_back() -> None:
    rows = [[1, 2, 3], [], [4], [5, 6]]
    packed = Ragged.of(rows)
    assert len(packed) == 4
    assert packed.lengths().tolist() == [3, 0, 1, 2]
    assert [packed.row(i).tolist() for i in range(4)] == rows
    taken = packed.take(np.array([3, 1, 0, 3]))
    assert [taken.row(i).tolist() for i in range(4)] == [[5, 6], [], [1, 2, 3], [5, 6]]
    assert Ragged.of([]).values.shape == (0,)
