"""Settings around a frozen decoder, whose first layers may read items ahead of all trials. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from trials.backbones.names import Decoder
from trials.training.settings.ranges import Layers

ItemPooling = Literal["tokens", "last", "mean"]


class DecoderSettings(BaseModel):
    """Which layers of the decoder are there, and which of them read each item by itself, once.

    Stands before the settings of the training among the bases of a class, which says of `backbone`, `item_layers` and
    `item_pooling` what they mean to it.
    """

    backbone: Decoder = Field("smollm2-135m", min_length=1)
    num_layers: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="layers of the backbone to keep, >= 1, the first or those behind item_layers; null keeps all",
    )
    item_layers: Layers = 0
    item_pooling: ItemPooling = "tokens"
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the frozen weights and of their products; bfloat16 is for CUDA"
    )

    @model_validator(mode="after")
    def _pooling_is_of_items_read_ahead(self) -> Self:
        if self.item_pooling != "tokens" and not self.item_layers:
            raise ValueError(
                f"item_pooling must be tokens without item_layers, got item_pooling={self.item_pooling}; "
                "set item_layers to the number of layers that read items by themselves"
            )
        return self

    @property
    def loaded_layers(self) -> int | None:
        """First layers of the backbone that are loaded: those that read items and those behind; None for all."""
        return None if self.num_layers is None else self.item_layers + self.num_layers
