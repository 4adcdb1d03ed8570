"""NCF's settings. Loads no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trials.backbones.recommenders.settings import PairSettings
from trials.training.settings.ranges import Share, Width


class NCFConfig(PairSettings):
    """Defaults are those of RecBole's NeuMF, but for the number of epochs (there 300, with early stopping)."""

    batch_size: int = Field(
        1024,
        ge=1,
        le=1_048_576,
        description="training interactions a step, >= 1; with their negatives as many examples as RecBole's 2048",
    )
    hidden_size: Width = Field(128, description="width of the MLP's first layer, >= 1; the next have half")
    num_layers: int = Field(2, ge=1, le=8, description="layers of the MLP, >= 1")
    dropout: Share = Field(0.1, description="dropout before each layer of the MLP, in [0, 1)")

    @property
    def hidden_sizes(self) -> list[int]:
        """Widths of the MLP's layers."""
        return [self.hidden_size >> layer for layer in range(self.num_layers)]

    @model_validator(mode="after")
    def _every_layer_has_units(self) -> Self:
        if self.hidden_sizes[-1] < 1:
            raise ValueError(
                f"hidden_size must be at least 2 ** (num_layers - 1), got hidden_size={self.hidden_size}, "
                f"num_layers={self.num_layers}; the last layer would be empty"
            )
        return self
