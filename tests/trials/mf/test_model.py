from __future__ import annotations

import numpy as np
import pytest
import torch

from trials.data.dataset import SearchData
from trials.mf import MFConfig
from trials.mf.model import make


def search_data() -> SearchData:
    return SearchData(
        name="by-hand",
        train_items=np.arange(6, dtype=np.int32),
        train_offsets=np.array([0, 3, 6]),
        valid_target_U=np.zeros(2, dtype=np.int32),
        users_U=np.arange(2),
        num_items=200,
        sentences=[],
        titles=[],
        fingerprint="by-hand",
    )


def test_vectors_start_by_glorots_rule() -> None:
    torch.manual_seed(0)
    made = make(MFConfig(), search_data())
    items = made.model.item_vectors(torch.arange(200))
    assert float(items.detach().std()) == pytest.approx((2 / (200 + 64)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("item_bias", [False, True])
def test_biases_are_trained_if_asked_for(item_bias: bool) -> None:
    made = make(MFConfig(item_bias=item_bias, width=4), search_data())
    names = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert ("model.item_bias" in names) == item_bias
    assert {"model.users.weight", "model.items.weight"} <= names


def test_defaults_are_those_of_recbole() -> None:
    config = MFConfig()
    assert (config.width, config.batch_size, config.negatives, config.learning_rate) == (64, 2048, 1, 1e-3)
    assert (config.weight_decay, config.schedule) == (0, "constant")
