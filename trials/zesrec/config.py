"""ZESRec's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.names import Encoder
from trials.gru4rec.config import GRU4RecConfig


class ZESRecConfig(GRU4RecConfig):
    """GRU4Rec's sizes, as the paper builds on it among others; `embedding_size` is the width of items and users."""

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
