"""Cold items: the bottom 35 % by training interactions, apart from the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trials.data.dataset import SearchData
from trials.laser.groups import ColdItems


def test_cold_are_the_rarest_items(make_data: Any) -> None:
    data: SearchData = make_data(users=60)
    cold = ColdItems(data)
    assert cold.num_cold == 7  # floor(0.35 * 20)
    counts = data.popularity_N()
    assert counts[cold.cold_N].max() <= counts[~cold.cold_N].min()


def test_the_groups_figures_are_means_over_their_users(make_data: Any) -> None:
    data: SearchData = make_data(users=30)
    cold = ColdItems(data)
    ranks_U = np.arange(1, 31)
    found = cold.report(ranks_U, ["mrr", "recall@10"])
    cold_U = cold.cold_N[data.valid_target_U]
    assert found["cold/users"] + found["rest/users"] == 30
    assert found["cold/mrr"] == pytest.approx(np.mean(1 / ranks_U[cold_U]))
    assert found["rest/recall@10"] == pytest.approx(np.mean(ranks_U[~cold_U] <= 10))


def test_a_group_without_users_has_no_figures(make_data: Any) -> None:
    data: SearchData = make_data(users=3)
    cold = ColdItems(data)
    cold.cold_N[:] = False
    assert cold.report(np.array([1, 2, 3]), ["mrr"]) == {
        "cold/users": 0.0,
        "rest/users": 3.0,
        "rest/mrr": pytest.approx((1 + 1 / 2 + 1 / 3) / 3),
    }
