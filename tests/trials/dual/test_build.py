"""What is refused, and what is shared between trials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from searchplat.contract import DataRequest
from searchplat.errors import AssetError, InputError
from trials.darec import DARec, DARecConfig
from trials.darec.model import DARecModel
from trials.data.preparing.dataset import SearchData
from trials.dual.build import build, prepare


def test_frozen_parts_are_shared_and_trained_parts_are_not(make_model: Any) -> None:
    one, two = make_model(), make_model(layout="parallel")
    assert one.lm is two.lm
    assert one.sentences is two.sentences
    assert one.batcher.hard is two.batcher.hard
    assert one.cf is not two.cf
    assert one.special_2D is not two.special_2D
    assert make_model(num_layers=1).lm is not one.lm


def test_frozen_cf_is_trained_once_and_not_shared(make_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_model(cf_training="frozen")
    monkeypatch.setattr("trials.dual.build.train_cf", None)
    two = make_model(cf_training="frozen")
    assert torch.equal(one.cf.users_UW, two.cf.users_UW)
    assert one.cf.users_UW is not two.cf.users_UW


def test_warm_start_draws_the_same_weights_as_a_cold_one(make_model: Any) -> None:
    cold, warm = make_model(cf_training="frozen"), make_model(cf_training="frozen")
    for one, other in zip(cold.parameters(), warm.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": None, "replace_every": 3}, "replace_every: must not exceed the 2 layers"),
        (
            {"num_layers": None, "layout": "000-000-000"},
            "layout: layout must have one group .* 2 adapted layers, got 3",
        ),
        (
            {"num_layers": None, "item_layers": 2},
            "item_layers: must be less than the 2 layers of 'random-llama', got 2",
        ),
        ({"max_items": 400}, r"max_items: 400 items of up to \d \+ 1 tokens need \d+ positions, but .* has 1024"),
    ],
)
def test_refusals(make_model: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_model(**settings)


def test_no_user_with_two_items(make_model: Any, make_data: Any) -> None:
    data = make_data(users=3)
    single = replace(data, train_items=np.array([1, 2, 3], dtype=np.int32), train_offsets=np.arange(4))
    with pytest.raises(InputError, match="needs a user with two training items, but none of the 3 selected"):
        make_model(on=single)


def test_prepare_on_the_toy_data(make_job: Any, tmp_path: Any) -> None:
    """After `prepare`, a trial of the same config finds its hard items on disk."""
    job = make_job()
    request = DataRequest("toy")
    DARec().prepare(job.config, request, job.assets)
    made = sorted(path.name for path in (tmp_path / "prepared" / "hard-items").iterdir())
    assert len(made) == 1
    DARec().prepare(job.config, request, job.assets)
    training = DARec().start(job)
    metrics = training.run_epoch()
    assert {"valid/mrr", "train/loss", "router/layer0"} <= set(metrics)
    assert sorted(path.name for path in (tmp_path / "prepared" / "hard-items").iterdir()) == made


def test_prepare_reads_the_items_and_trials_share_what_it_read(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(item_layers=1, num_layers=1, lambda_cl=0)
    DARec().prepare(job.config, DataRequest("toy"), job.assets)
    monkeypatch.setattr("trials.backbones.decoders.item_states.read_items", None)
    one, other = DARec().start(job), DARec().start(job)
    assert one.model.lm is other.model.lm
    assert one.model.sentences is other.model.sentences
    assert "valid/mrr" in one.run_epoch()


def test_prepare_fetches_a_named_backbone(make_job: Any) -> None:
    job = make_job(backbone="facebook/opt-125m")
    with pytest.raises(AssetError, match="facebook/opt-125m"):
        prepare(job.config, DataRequest("toy"), job.assets)


def test_trial_resumes_where_it_was_interrupted(make_job: Any) -> None:
    whole = DARec().start(make_job(epochs=2))
    whole.run_epoch()
    whole.save()
    expected = whole.run_epoch()
    resumed = DARec().start(make_job(epochs=2))
    assert resumed.restore() == 1
    got = resumed.run_epoch()
    assert {k: v for k, v in got.items() if k.startswith(("valid/", "train/", "router/"))} == {
        k: v for k, v in expected.items() if k.startswith(("valid/", "train/", "router/"))
    }


def test_build_takes_the_jobs_device(make_job: Any, data: SearchData) -> None:
    job = make_job()
    assert isinstance(job.config, DARecConfig)
    assert build(job.config, data, job, DARecModel).lm.device == torch.device("cpu")
