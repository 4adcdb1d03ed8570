from __future__ import annotations

import pytest
from by_hand import search_data
from pydantic import ValidationError
from torch import nn

from trials.ncf import NCFConfig
from trials.ncf.model import make
from trials.nn.cf import NCF


def test_sizes_are_those_of_recboles_neumf() -> None:
    model = make(NCFConfig(), search_data([[0, 1, 2], [3, 4, 5]], 9)).model
    assert isinstance(model, NCF)
    layers = [(part.in_features, part.out_features) for part in model.mlp if isinstance(part, nn.Linear)]
    assert layers == [(128, 128), (128, 64)]
    assert [part.p for part in model.mlp if isinstance(part, nn.Dropout)] == [0.1, 0.1]
    assert model.head.in_features == 64 + 64


def test_a_layer_without_units_is_refused() -> None:
    with pytest.raises(ValidationError, match="hidden_size must be at least 2"):
        NCFConfig(hidden_size=4, num_layers=4)
