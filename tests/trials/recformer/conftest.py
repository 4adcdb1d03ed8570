from __future__ import annotations

from typing import Any

import pytest
import torch
from by_hand import random_data

from trials.backbones.encoders.masked_lm import MaskedLM, load_masked_lm
from trials.data.preparing.dataset import SearchData
from trials.recformer import RecFormerConfig
from trials.recformer.model import RecFormerModel
from trials.recformer.sentences import attribute_pairs, tokenise, vocabulary_texts


@pytest.fixture(scope="session")
def data() -> SearchData:
    """Items with a title and mostly a colour."""
    plain = random_data(users=12, items=20)
    colours = [["red", "dark blue", ""][item % 3] for item in range(20)]
    return random_data(
        users=12, items=20, attributes={"title": plain.titles, "colour": colours, "description": ["x"] * 20}
    )


@pytest.fixture(scope="session")
def lm(data: SearchData) -> MaskedLM:
    return load_masked_lm("random-bert", None, texts=vocabulary_texts(attribute_pairs(data, None)))  # type: ignore[arg-type]


@pytest.fixture
def make_model(data: SearchData, lm: MaskedLM) -> Any:
    def make(**settings: Any) -> RecFormerModel:
        made: dict[str, Any] = {
            "backbone": "random-bert",
            "batch_size": 4,
            "max_items": 4,
            "max_tokens": 40,
            "epochs": 4,
        }
        config = RecFormerConfig(**made | settings)
        limits = (config.max_attribute_tokens, config.max_items, config.max_tokens)
        torch.manual_seed(0)
        return RecFormerModel(config, lm, tokenise(lm, attribute_pairs(data, config.attributes), *limits), data)

    return make
