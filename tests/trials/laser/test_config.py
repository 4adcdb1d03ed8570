"""Settings: the paper's by default, and refused when they do not fit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trials.laser.config import LaserConfig


def test_defaults_are_the_papers() -> None:
    config = LaserConfig()
    assert (config.num_experts, config.top_experts, config.prefix_length) == (8, 3, 32)
    assert (config.former_width, config.former_heads, config.former_layers, config.cross_every) == (768, 12, 12, 2)
    assert (config.batch_size, config.learning_rate, config.temperature, config.lambda_balance) == (4, 1e-4, 0.05, 0.01)
    assert (config.epochs, config.phase1_epochs) == (20, 15)
    assert (config.id_recommender, config.id_width, config.num_suffix) == ("bert4rec", 64, 1)


def test_round_trip() -> None:
    config = LaserConfig(variant="eos", attributes=("brand", "categories"), id_patience=None)
    assert LaserConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_experts": 2}, "top_experts must not exceed num_experts, got top_experts=3, num_experts=2"),
        ({"former_heads": 5}, "former_heads must divide former_width, got former_heads=5, former_width=768"),
        ({"phase_metric": "mrr@5"}, "phase_metric must be one of metrics, got phase_metric='mrr@5'"),
        ({"variant": "other"}, "no-mformer"),
        ({"template": "other"}, "two-instructions"),
        ({"temperature": 0}, "greater than 0"),
        ({"id_width": 5}, "multiple of 2"),
        ({"num_expert": 4}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LaserConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("epochs", "share", "variant", "phase1"),
    [
        (20, 0.75, "laser", 15),
        (3, 0.67, "laser", 2),
        (1, 0.1, "laser", 1),
        (2, 0.5, "laser", 1),
        (4, 1.0, "laser", 4),
        (20, 0.75, "no-phase-1", 0),
        (20, 0.75, "no-phase-2", 20),
    ],
)
def test_epochs_of_phase_1(epochs: int, share: float, variant: str, phase1: int) -> None:
    config = LaserConfig.model_validate({"epochs": epochs, "phase1_share": share, "variant": variant})
    assert config.phase1_epochs == phase1


@pytest.mark.parametrize(
    ("variant", "prefix", "suffix", "former", "balance"),
    [
        ("laser", 32, 2, True, 0.01),
        ("no-prefix", 0, 2, False, 0.0),
        ("average-pooling", 32, 0, True, 0.01),
        ("eos", 32, 1, True, 0.01),
        ("no-mformer", 32, 2, False, 0.0),
        ("one-expert", 32, 2, True, 0.0),
        ("no-balance", 32, 2, True, 0.0),
        ("no-phase-1", 32, 2, True, 0.01),
        ("no-phase-2", 32, 2, True, 0.01),
    ],
)
def test_what_a_variant_has(variant: str, prefix: int, suffix: int, former: bool, balance: float) -> None:
    config = LaserConfig.model_validate({"variant": variant, "num_suffix": 2})
    assert (config.prefix_tokens, config.suffix_tokens) == (prefix, suffix)
    assert (config.has_former, config.balance_weight) == (former, balance)
    assert config.experts == ((1, 1) if variant == "one-expert" else (8, 3))
