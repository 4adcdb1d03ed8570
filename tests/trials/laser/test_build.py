"""What is refused, and what is shared between trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searchplat.contract import DataRequest
from searchplat.errors import AssetError, InputError
from trials.laser import Laser, LaserConfig
from trials.laser.build import recommender_settings


def test_frozen_parts_are_shared_and_trained_parts_are_not(make_model: Any) -> None:
    one, two = make_model(), make_model(num_experts=4)
    assert one.lm is two.lm
    assert one.instructions is two.instructions
    assert one.suffix_XD is not two.suffix_XD
    assert torch.equal(one.collaborator.encoder.item_embedding.weight, two.collaborator.encoder.item_embedding.weight)
    assert make_model(max_tokens=50).instructions is not one.instructions


def test_warm_start_draws_the_same_weights_as_a_cold_one(make_model: Any) -> None:
    for one, other in zip(make_model(id_width=6).parameters(), make_model(id_width=6).parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_recommender_is_recboles_at_the_width_asked_for() -> None:
    config = LaserConfig()
    found = recommender_settings(config)
    assert (found.num_layers, found.num_heads, found.hidden_size, found.inner_size) == (2, 2, 64, 256)
    assert (
        type(recommender_settings(config.model_copy(update={"id_recommender": "sasrec"}))).__name__ == "SASRecSettings"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 6}, r"max_tokens: must hold the longest item, \d+ tokens with its number, got 6; raise it"),
        ({"max_tokens": 2000}, r"need up to \d+ positions, but 'random-llama' has 1024; lower max_tokens"),
        ({"attributes": ("colour",)}, "attributes: must be among title, categories, brand, description"),
    ],
)
def test_refusals(make_model: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_model(**settings)


def test_no_user_with_two_items(make_model: Any, make_data: Any) -> None:
    data = make_data(users=3)
    items = np.array([1, 2, 3], dtype=np.int32)
    single = replace(data, train_items=items, train_offsets=np.arange(4), fingerprint="single")
    with pytest.raises(InputError, match="needs a user with two training items, but none of the 3 selected"):
        make_model(on=single, variant="no-prefix")


def test_prepare_trains_the_recommender_once(make_job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(max_tokens=80)
    job.assets.root = tmp_path
    Laser().prepare(job.config, DataRequest("toy"), job.assets)
    (made,) = (tmp_path / "backbones").glob("*/encoder.safetensors")
    monkeypatch.setattr("trials.backbones.recommenders.frozen._train", None)
    metrics = Laser().start(job).run_epoch()
    assert {"valid/mrr", "train/iic", "train/balance", "router/expert0"} <= set(metrics)
    assert made.exists()


def test_prepare_fetches_a_named_backbone(make_job: Any) -> None:
    job = make_job(backbone="openai-community/gpt2-large")
    with pytest.raises(AssetError, match="gpt2-large"):
        Laser().prepare(job.config, DataRequest("toy"), job.assets)
