from __future__ import annotations

import pytest
from pydantic import ValidationError

from trials.training import LoopConfig


def test_every_field_has_a_description() -> None:
    assert all(field.description for field in LoopConfig.model_fields.values())


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", 0), ("learning_rate", 0.0), ("warmup_fraction", 1.0), ("gradient_clip", 0.0), ("metrics", ["hits"])],
)
def test_values_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        LoopConfig.model_validate({key: value})


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="learning_rat"):
        LoopConfig.model_validate({"learning_rat": 0.1})


def test_a_config_of_an_unknown_metric_says_which_are_known() -> None:
    with pytest.raises(ValidationError, match="known are mrr"):
        LoopConfig(metrics=("map",))
