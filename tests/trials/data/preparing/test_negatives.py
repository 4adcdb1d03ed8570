"""Sampled negatives: never met, distinct, repeatable, and by the weights that were asked for."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from searchplat.contract import AssetSource, DataRequest, TestPermit
from searchplat.errors import InputError
from trials.data import FinalData, SearchData, open_final, open_search
from trials.data.preparing import negatives
from trials.data.preparing.negatives import By, sample_negatives, stored_negatives

REQUEST = DataRequest("toy", {"items": 120})


@pytest.mark.parametrize("by", get_args(By))
def test_negatives_are_distinct_and_never_met(assets: AssetSource, permit: TestPermit, by: By) -> None:
    final = open_final(REQUEST, assets, permit)
    drawn = sample_negatives(final, 30, 1, by)
    assert drawn.shape == (60, 30)
    for user, row in enumerate(drawn.tolist()):
        met = {*final.search.history(user), final.search.valid_target_U[user], final.test_target_U[user]}
        assert len(set(row)) == 30
        assert not met & set(row)
        assert 0 <= min(row) <= max(row) < final.search.num_items


def test_equal_seeds_equal_negatives(assets: AssetSource) -> None:
    search = open_search(REQUEST, assets)
    assert (sample_negatives(search, 5, 1) == sample_negatives(search, 5, 1)).all()
    assert (sample_negatives(search, 5, 1) != sample_negatives(search, 5, 2)).any()


def test_blocks_do_not_change_the_draw(assets: AssetSource, monkeypatch: pytest.MonkeyPatch) -> None:
    search = open_search(REQUEST, assets)
    whole = sample_negatives(search, 5, 1, "popularity")
    monkeypatch.setattr(negatives, "CELLS", 7 * search.num_items)
    assert (sample_negatives(search, 5, 1, "popularity") == whole).all()


def _flat_data(counts: list[int], users: int) -> SearchData:
    """Every user has met item 0 only; `counts` are filled up by one more user."""
    items = np.array([0] * users + [item for item, n in enumerate(counts) for _ in range(n)], dtype=np.int32)
    offsets = np.array([*range(users + 1), len(items)], dtype=np.int64)
    valid = np.zeros(users + 1, dtype=np.int32)
    rows = np.arange(users + 1, dtype=np.int64)
    return SearchData("flat", items, offsets, valid, rows, len(counts) + 5, [], [], "f")


def test_popularity_weights_hold() -> None:
    """The first draw of one negative follows the counts; an exact chi-square-like bound at fixed seed."""
    counts = [0, 10, 20, 70]
    users = 4000
    drawn = sample_negatives(_flat_data(counts, users), 1, 0, "popularity")[:users, 0]
    shares = np.bincount(drawn, minlength=9) / users
    # Three standard errors of a share of 0.7 among 4,000 are 0.022.
    assert shares[1:4] == pytest.approx([0.1, 0.2, 0.7], abs=0.022)
    assert shares[4:].sum() == 0  # never trained on, and there were others


def test_unseen_items_fill_up_only_when_needed() -> None:
    drawn = sample_negatives(_flat_data([0, 10, 20, 70], 50), 5, 0, "popularity")[:50]
    assert all({1, 2, 3} <= set(row) for row in drawn.tolist())


def test_too_many_is_refused(assets: AssetSource) -> None:
    search = open_search(DataRequest("toy"), assets)
    with pytest.raises(InputError, match=r"must lie in \[1, \d+\].*got 100; ask for fewer or rank all items"):
        sample_negatives(search, 100, 0)


def test_stored_negatives_are_drawn_once(
    assets: AssetSource, permit: TestPermit, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, final = open_search(REQUEST, assets), open_final(REQUEST, assets, permit)
    first = stored_negatives(search, assets, 5, 1)
    assert isinstance(final, FinalData)
    assert (stored_negatives(final, assets, 5, 1) != first).any()
    monkeypatch.setattr(negatives, "sample_negatives", None)
    assert (stored_negatives(search, assets, 5, 1) == first).all()
