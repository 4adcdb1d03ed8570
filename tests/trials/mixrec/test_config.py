"""Settings: the paper's by default, and refused when they do not fit."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from trials.darec import DARecConfig
from trials.mixrec import MixRecConfig


def test_what_is_its_own_is_the_papers_by_default() -> None:
    config = MixRecConfig()
    assert (config.cf_model, config.cf_training, config.schedule) == ("ncf", "joint", "cosine")
    assert not config.hard_routing


def test_settings_are_darecs_but_for_the_variants_and_what_is_injected() -> None:
    ours, theirs = (config().model_dump(exclude={"variant", "injection"}) for config in (MixRecConfig, DARecConfig))
    assert ours == theirs


@pytest.mark.parametrize("config", [MixRecConfig, DARecConfig])
def test_every_variant_is_made_of_something(config: type[MixRecConfig] | type[DARecConfig]) -> None:
    assert list(get_args(config.model_fields["variant"].annotation)) == list(config.VARIANTS)
    assert config().composition == config.VARIANTS[next(iter(config.VARIANTS))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "010", "num_layers": 2}, "each of the 2 adapted layers, got 1"),
        ({"variant": "darec-base"}, "mixrec-base"),
        ({"gating": "hard"}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MixRecConfig.model_validate(settings)
