"""The bias that popularity gives."""

from __future__ import annotations

import pytest
from by_hand import search_data

from trials.data.popularity import popularity_bias


def test_it_is_the_logarithm_of_each_items_share_with_one_more_interaction() -> None:
    data = search_data([[0, 1], [0, 2, 0]], num_items=4)
    assert popularity_bias(data).exp().tolist() == pytest.approx([4 / 9, 2 / 9, 2 / 9, 1 / 9])
