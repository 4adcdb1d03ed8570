from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, WarmCache
from trials.baselines import Popularity


def start(tmp_path: Path, **options: object):
    assets = AssetStore(tmp_path / "cache")
    request = DataRequest("toy", options)
    return Popularity().start(TrialJob(0, Popularity.Config(), request, 1, tmp_path / "trial", assets, WarmCache()))


def test_it_ranks_by_count_and_trains_nothing(tmp_path: Path) -> None:
    loop = start(tmp_path)
    assert loop.epochs == 1
    counts_N = np.bincount(loop.data.train_items, minlength=loop.data.num_items)
    ranks_U = [1 + (counts_N >= counts_N[target]).sum() - 1 for target in loop.data.valid_target_U]
    found = loop.run_epoch()
    assert found["valid/mrr"] == pytest.approx(np.mean(1 / np.array(ranks_U)))
    assert not any(name.startswith("train/") for name in found)


def test_it_is_saved_and_restored_like_any_other(tmp_path: Path) -> None:
    loop = start(tmp_path)
    found = loop.run_epoch()
    loop.save()
    again = start(tmp_path)
    assert again.restore() == 1
    assert again.metrics == found


def test_leaving_out_what_a_user_has_met_can_only_help(tmp_path: Path) -> None:
    with_history = start(tmp_path)
    without = start(tmp_path, rank_met=False)
    ranks = [loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U) for loop in (with_history, without)]
    assert (ranks[1] <= ranks[0]).all()
    assert (ranks[1] < ranks[0]).any()


def test_more_than_one_epoch_is_refused() -> None:
    with pytest.raises(ValidationError, match="epochs"):
        Popularity.Config(epochs=2)
