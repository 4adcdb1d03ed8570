"""Settings: the paper's by default, and refused when they do not fit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from searchplat.errors import InputError
from trials.darec.config import DARecConfig


def test_defaults_are_the_papers() -> None:
    config = DARecConfig()
    assert (config.bottleneck, config.epochs, config.learning_rate, config.warmup_fraction) == (64, 40, 5e-5, 0.06)
    assert (config.temperature, config.num_samples, config.num_negatives) == (1.0, 1, 5)
    assert (config.max_sentence_tokens, config.replace_every, config.hard_fraction) == (30, 1, 0.005)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "01"}, "groups of 3 bits"),
        ({"layout": "010", "num_layers": 2}, "each of the 2 adapted layers, got 1"),
        ({"layout": "010-010", "num_layers": 4, "replace_every": 4}, "each of the 1 adapted layers, got 2"),
        ({"num_layers": 2, "replace_every": 3}, "replace_every must not exceed num_layers"),
        ({"bottleneck": 0}, "greater than or equal to 1"),
        ({"cf_width": 5}, "multiple of 2"),
        ({"item_pooling": "mean"}, "item_pooling must be tokens without item_layers, got item_pooling=mean"),
        (
            {"head": "collaborative", "variant": "llmrec"},
            "head must be free or low-rank in a variant without a CF model",
        ),
        ({"variant": "other"}, "darec-base"),
        ({"botleneck": 4}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DARecConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "layers"),
    [
        ({"backbone": "facebook/opt-125m"}, 12),
        ({"backbone": "facebook/opt-125m", "replace_every": 5}, 2),
        ({"backbone": "someone/else", "num_layers": 7, "replace_every": 2}, 3),
        ({"backbone": "random-gpt2"}, 2),
        ({"backbone": "facebook/opt-125m", "item_layers": 9}, 3),
        ({"backbone": "facebook/opt-125m", "item_layers": 9, "num_layers": 2}, 2),
    ],
)
def test_adapted_layers(settings: dict[str, object], layers: int) -> None:
    assert DARecConfig.model_validate(settings).adapted_layers == layers


def test_unknown_depth_says_what_to_set() -> None:
    with pytest.raises(InputError, match="set num_layers"):
        DARecConfig(backbone="someone/else").adapted_layers  # noqa: B018
