"""GRU4Rec's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.settings import WindowSettings


class GRU4RecConfig(WindowSettings):
    """Defaults are RecBole's, but for the number of epochs (there 300, with early stopping)."""

    embedding_size: int = Field(64, ge=1, le=8192, description="width of item vectors, >= 1")
    hidden_size: int = Field(128, ge=1, le=8192, description="width of the GRU's state, >= 1")
    num_layers: int = Field(1, ge=1, le=16, description="GRU layers, >= 1")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout of the item vectors that go in, in [0, 1)")
