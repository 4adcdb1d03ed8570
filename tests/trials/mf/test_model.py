from __future__ import annotations

import pytest
import torch
from by_hand import search_data

from trials.mf import MFConfig
from trials.mf.model import make

DATA = search_data([[0, 1, 2], [3, 4, 5]], 200)


def test_vectors_start_by_glorots_rule() -> None:
    torch.manual_seed(0)
    made = make(MFConfig(), DATA)
    items = made.model.item_vectors(torch.arange(200))
    assert float(items.detach().std()) == pytest.approx((2 / (200 + 64)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("item_bias", [False, True])
def test_biases_are_trained_if_asked_for(item_bias: bool) -> None:
    made = make(MFConfig(item_bias=item_bias, width=4), DATA)
    names = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert ("model.item_bias" in names) == item_bias
    assert {"model.users.weight", "model.items.weight"} <= names


def test_defaults_are_those_of_recbole() -> None:
    config = MFConfig()
    assert (config.width, config.batch_size, config.negatives, config.learning_rate) == (64, 2048, 1, 1e-3)
    assert (config.weight_decay, config.schedule) == (0, "constant")
