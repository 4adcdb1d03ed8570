from __future__ import annotations

import pytest
from pydantic import ValidationError

from trials.backbones.recommenders.settings import BERT4RecSettings, SASRecSettings
from trials.cramer import CRAMERConfig


def test_the_backbone_is_recboles() -> None:
    settings = CRAMERConfig().backbone_settings
    assert settings == SASRecSettings()
    assert CRAMERConfig(backbone="bert4rec").backbone_settings == BERT4RecSettings()


def test_what_is_said_of_the_backbone_reaches_it() -> None:
    settings = CRAMERConfig(
        backbone="bert4rec", backbone_epochs=7, backbone_patience=None, backbone_learning_rate=0.5,
        backbone_batch_size=9, backbone_dropout=0.1, num_layers=3, num_heads=4, hidden_size=8, inner_size=5,
        max_length=11, backbone_holdout=2,
    ).backbone_settings  # fmt: skip
    assert (settings.epochs, settings.patience, settings.learning_rate, settings.batch_size) == (7, None, 0.5, 9)
    sizes = (settings.num_layers, settings.num_heads, settings.hidden_size, settings.inner_size, settings.max_length)
    assert settings.holdout == 2
    assert (settings.dropout, sizes) == (0.1, (3, 4, 8, 5, 11))


def test_what_a_trial_searches_leaves_the_backbone_as_it_is() -> None:
    one = CRAMERConfig(drop_ratio=0.2, learning_rate=0.1, epochs=3, scope="ffn", batch_size=5, tuned="all")
    assert one.backbone_settings == CRAMERConfig().backbone_settings


def test_folds_train_as_long_as_the_whole() -> None:
    with pytest.raises(ValidationError, match="backbone_folds need backbone_patience: null"):
        CRAMERConfig(backbone_folds=4)
    with pytest.raises(ValidationError, match="backbone_folds must be 0 or at least 2, got 1"):
        CRAMERConfig(backbone_folds=1)


def test_texts_are_compared_under_a_frozen_encoder() -> None:
    with pytest.raises(ValidationError, match="text_weight must be 0 where the encoder is tuned, got"):
        CRAMERConfig(text_weight=2.0, tuned="last")


def test_components_are_of_a_frozen_encoders_vectors() -> None:
    with pytest.raises(ValidationError, match="request_components must be null where the encoder is tuned, got 4"):
        CRAMERConfig(request_components=4, tuned="last")


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="num_heads must divide hidden_size, got num_heads=3, hidden_size=64"):
        CRAMERConfig(num_heads=3)


@pytest.mark.parametrize("wrong", [{"drop_ratio": 0}, {"drop_ratio": 1}, {"tau_end": 0}, {"lambda_kl": -1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CRAMERConfig(**wrong)
