from __future__ import annotations

import pytest
from pydantic import ValidationError

from trials.sasrec import SASRecConfig


def test_defaults_are_those_of_recbole() -> None:
    config = SASRecConfig()
    sizes = (config.num_layers, config.num_heads, config.hidden_size, config.inner_size, config.max_length)
    assert sizes == (2, 2, 64, 256, 50)
    assert (config.dropout, config.learning_rate, config.weight_decay, config.schedule) == (0.5, 1e-3, 0, "constant")


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="num_heads must divide hidden_size, got num_heads=3, hidden_size=64"):
        SASRecConfig(num_heads=3)


def test_windows_must_not_leave_gaps() -> None:
    with pytest.raises(ValidationError, match="stride must not exceed max_length, got stride=51, max_length=50"):
        SASRecConfig(stride=51)
