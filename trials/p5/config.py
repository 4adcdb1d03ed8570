"""P5's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.training.settings.bounds import check_divides
from trials.training.settings.config import LoopConfig, Schedule, Warmup
from trials.training.settings.ranges import BatchSize, Epochs, Rate, Share, Width


class P5Config(LoopConfig):
    """Training is the authors' code's; the sizes are smaller than T5-small's, whose weights are not read."""

    # Training
    epochs: Epochs = Field(10, description="passes over the users, >= 1; the authors' code: 10")
    learning_rate: Rate = Field(1e-3, description="peak learning rate of AdamW, in (0, 1]; the authors' code: 1e-3")
    schedule: Schedule = "linear"
    warmup_fraction: Warmup = 0.05
    gradient_clip: float | None = Field(
        1.0, gt=0, description="largest global norm of the gradient, > 0; null is none; the authors' code: 1"
    )
    batch_size: BatchSize = Field(32, description="prompts a step, >= 1; the authors' code: 32")
    targets_per_user: int | None = Field(
        5,
        ge=1,
        le=10_000,
        description="training items of a user that are targets in an epoch, drawn anew, >= 1; null is all but the "
        "first; the authors' code: five draws from the last three of each sequence, for prompts that generate",
    )
    stranger_share: Share = Field(
        0.1,
        description="share of the prompts that say of no user who it is, so that users who were not in training can be "
        "answered, in [0, 1); ours: the paper names every user",
    )

    # What is read and written
    max_items: int = Field(20, ge=1, le=500, description="items of a history in a prompt, the latest, >= 1")
    indexing: Literal["sequential", "random"] = Field(
        "sequential",
        description="an item's number: sequential, in the order in which users' training sequences name the items, so "
        "that items of one user have like numbers (the authors' data, there with the test items); or drawn at random",
    )
    whole_words: bool = Field(
        True, description="whether tokens of one number share a vector that says so (the paper, section 4.1)"
    )

    # The encoder-decoder
    num_layers: int = Field(2, ge=1, le=48, description="layers of the encoder, and of the decoder; T5-small: 6")
    num_heads: int = Field(4, ge=1, le=64, description="attention heads, >= 1; divides hidden_size; T5-small: 8")
    hidden_size: Width = Field(128, description="width of tokens and states, >= 1; T5-small: 512")
    inner_size: int = Field(
        512, ge=1, le=32_768, description="width within the feed-forward part, >= 1; T5-small: 2048"
    )
    dropout: Share = Field(0.1, description="dropout within layers, in [0, 1); T5: 0.1")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        check_divides(self, "num_heads", "hidden_size")
        return self
