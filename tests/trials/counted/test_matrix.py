from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from trials.counted.matrix import heaviest


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_heaviest_columns_come_first_and_of_equals_the_lower(most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense_RN = rng.integers(0, 4, size=(5, 4)).astype(float)
    items_RK, weights_RK = heaviest(sparse.csr_array(dense_RN), most)
    assert items_RK.shape == weights_RK.shape == (5, min(most, 4))
    for row, items, weights in zip(dense_RN, items_RK, weights_RK, strict=True):
        expected = [n for n in np.argsort(-row, kind="stable") if row[n] > 0][:most]
        assert items[: len(expected)].tolist() == expected
        assert weights.tolist() == [*row[expected], *[0.0] * (len(weights) - len(expected))]
