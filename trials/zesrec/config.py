"""ZESRec's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import WindowSettings
from trials.training.settings.ranges import Share, Width


class ZESRecConfig(WindowSettings):
    """RecBole's sizes of GRU4Rec, on which the paper builds among others."""

    embedding_size: Width = Field(64, description="width of items' and users' vectors, >= 1")
    hidden_size: Width = Field(128, description="width of the GRU's state, >= 1")
    num_layers: int = Field(1, ge=1, le=16, description="GRU layers, >= 1")
    dropout: Share = Field(0.3, description="dropout of the item vectors that go in, in [0, 1)")

    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="frozen encoder of item sentences, mean-pooled: asset name, hub name (the paper, by [CLS]: "
        "google-bert/bert-base-uncased), local folder, or random-bert (tiny, for tests)",
    )
    item_precision: float | None = Field(
        1.0,
        gt=0,
        le=1e6,
        description="λ_v: precision of the prior of an item's deviation from its text, > 0, the larger the less; null: "
        "none deviates, as in a domain without training (zero shot)",
    )
