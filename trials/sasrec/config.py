"""SASRec's settings. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.training import LoopConfig


class SASRecConfig(LoopConfig):
    """Defaults are RecBole's, but for the number of epochs (there 300, with early stopping)."""

    epochs: int = Field(100, ge=1, le=10_000, description="passes over the training sequences, >= 1")
    weight_decay: float = Field(0.0, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]; 0 is Adam")
    schedule: Literal["cosine", "constant", "linear"] = Field(
        "constant", description="learning rate after warm-up: cosine or linear to 0 at the last step, or constant"
    )
    warmup_fraction: float = Field(
        0.0, ge=0, lt=1, description="share of all steps over which the learning rate rises from 0, in [0, 1)"
    )
    batch_size: int = Field(128, ge=1, le=65_536, description="windows of training sequences a step, >= 1")
    max_length: int = Field(50, ge=1, le=10_000, description="latest items of a history that the model reads, >= 1")
    stride: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="items between the ends of neighbouring windows of a long sequence, in [1, max_length]; "
        "null is max_length, so that every item is a target once an epoch",
    )
    num_layers: int = Field(2, ge=1, le=48, description="Transformer layers, >= 1")
    num_heads: int = Field(2, ge=1, le=64, description="attention heads, >= 1; divides hidden_size")
    hidden_size: int = Field(64, ge=1, le=8192, description="width of item vectors and states, >= 1")
    inner_size: int = Field(256, ge=1, le=32_768, description="width within the feed-forward part, >= 1")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="dropout of embeddings, attention weights and outputs of blocks, in [0, 1)"
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads must divide hidden_size, got num_heads={self.num_heads}, hidden_size={self.hidden_size}; "
                "change one of them"
            )
        if self.stride is not None and self.stride > self.max_length:
            raise ValueError(
                f"stride must not exceed max_length, got stride={self.stride}, max_length={self.max_length}; "
                "targets between windows would never be trained on"
            )
        return self
