from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, Method, Training, TrialJob, WarmCache
from trials.baselines import Popularity
from trials.training import Loop, LoopConfig, RecommenderMethod
from trials.training.method import data_key


def job(tmp_path: Path, warm: WarmCache, config: LoopConfig, seed: int = 4) -> TrialJob:
    return TrialJob(0, config, DataRequest("toy"), seed, tmp_path / "trial", AssetStore(tmp_path / "cache"), warm)


def test_a_method_meets_the_platforms_contract(tmp_path: Path) -> None:
    method: Method = Popularity()
    assert method.layout_layers(method.Config()) is None
    method.prepare(method.Config(), DataRequest("toy"), AssetStore(tmp_path))
    training: Training = method.start(job(tmp_path, WarmCache(), Popularity.Config()))
    assert isinstance(training, Loop)


def test_data_is_opened_once_in_a_warm_process(tmp_path: Path) -> None:
    warm = WarmCache()
    first, second = (Popularity().start(job(tmp_path, warm, Popularity.Config())) for _ in range(2))
    assert first.data is second.data


def test_what_was_drawn_before_does_not_matter(tmp_path: Path) -> None:
    class Drawing(Popularity):
        def build(self, config, data, job):
            model = super().build(config, data, job)
            model.counts_N.copy_(torch.rand(data.num_items) + np.random.rand())
            return model

    warm = WarmCache()
    first = Drawing().start(job(tmp_path, warm, Popularity.Config()))
    torch.rand(3)
    np.random.rand(2)
    again, other = (Drawing().start(job(tmp_path, warm, Popularity.Config(), seed)) for seed in (4, 5))
    assert torch.equal(first.model.counts_N, again.model.counts_N)
    assert not torch.equal(first.model.counts_N, other.model.counts_N)


def test_another_methods_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"popularity: job.config must be PopularityConfig, got LoopConfig"):
        Popularity().start(job(tmp_path, WarmCache(), LoopConfig()))


def test_a_method_without_a_model_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        RecommenderMethod()


def test_data_keys_differ_where_the_data_does() -> None:
    base = DataRequest("toy", {"users": 8, "items": 20}, 0.5, 1)
    assert data_key(base) == data_key(DataRequest("toy", {"items": 20, "users": 8}, 0.5, 1))
    others = [DataRequest("toy", {"users": 9}, 0.5, 1), DataRequest("toy", base.options, 0.4, 1)]
    others += [DataRequest("toy", base.options, 0.5, 2), DataRequest("ml-100k", base.options, 0.5, 1)]
    assert len({data_key(request) for request in [base, *others]}) == 5
