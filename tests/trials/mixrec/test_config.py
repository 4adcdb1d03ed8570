"""Settings: documented, the paper's by default, and refused when they do not fit."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from trials.darec import DARecConfig
from trials.mixrec import MixRecConfig


def test_every_field_is_described() -> None:
    assert all(field.description for field in MixRecConfig.model_fields.values())


def test_defaults_are_the_papers() -> None:
    config = MixRecConfig()
    assert (config.bottleneck, config.epochs, config.learning_rate, config.warmup_fraction) == (64, 40, 5e-5, 0.06)
    assert (config.temperature, config.num_samples, config.num_negatives) == (1.0, 1, 5)
    assert (config.max_sentence_tokens, config.replace_every, config.hard_fraction) == (30, 1, 0.005)
    assert (config.cf_model, config.cf_training, config.schedule) == ("ncf", "joint", "cosine")
    assert not config.hard_routing


def test_settings_are_darecs_but_for_the_variants_and_what_is_injected() -> None:
    ours, theirs = (config().model_dump(exclude={"variant", "injection"}) for config in (MixRecConfig, DARecConfig))
    assert ours == theirs


@pytest.mark.parametrize("config", [MixRecConfig, DARecConfig])
def test_every_variant_is_made_of_something(config: type[MixRecConfig] | type[DARecConfig]) -> None:
    assert list(get_args(config.model_fields["variant"].annotation)) == list(config.VARIANTS)
    assert config().composition == config.VARIANTS[next(iter(config.VARIANTS))]


def test_round_trip() -> None:
    config = MixRecConfig(layout="010-000", num_layers=2, variant="same-mask", hard_routing=True)
    assert MixRecConfig.model_validate_json(config.model_dump_json()) == config


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
