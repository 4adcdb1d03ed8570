"""GRU4Rec's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.recommenders.settings import WindowSettings
from trials.training.settings.ranges import Share, Width


class GRU4RecConfig(WindowSettings):
    """Defaults are RecBole's, but for the number of epochs (there 300, with early stopping)."""

    embedding_size: Width = Field(64, description="width of item vectors, >= 1")
    hidden_size: Width = Field(128, description="width of the GRU's state, >= 1")
    num_layers: int = Field(1, ge=1, le=16, description="GRU layers, >= 1")
    dropout: Share = Field(0.3, description="dropout of the item vectors that go in, in [0, 1)")
