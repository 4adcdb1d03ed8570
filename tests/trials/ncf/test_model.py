from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from torch import nn

from trials.data.dataset import SearchData
from trials.ncf import NCFConfig
from trials.ncf.model import make
from trials.nn.cf import NCF


def test_sizes_are_those_of_recboles_neumf() -> None:
    data = SearchData(
        name="by-hand",
        train_items=np.arange(6, dtype=np.int32),
        train_offsets=np.array([0, 3, 6]),
        valid_target_U=np.zeros(2, dtype=np.int32),
        users_U=np.arange(2),
        num_items=9,
        sentences=[],
        titles=[],
        fingerprint="by-hand",
    )
    model = make(NCFConfig(), data).model
    assert isinstance(model, NCF)
    layers = [(part.in_features, part.out_features) for part in model.mlp if isinstance(part, nn.Linear)]
    assert layers == [(128, 128), (128, 64)]
    assert [part.p for part in model.mlp if isinstance(part, nn.Dropout)] == [0.1, 0.1]
    assert model.head.in_features == 64 + 64


def test_a_layer_without_units_is_refused() -> None:
    with pytest.raises(ValidationError, match="hidden_size must be at least 2"):
        NCFConfig(hidden_size=4, num_layers=4)
