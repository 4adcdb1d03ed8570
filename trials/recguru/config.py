"""RecGURU's settings. Loads no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trials.backbones.recommenders.settings import TransformerSettings
from trials.training.settings.ranges import Share, Weight


class RecGURUConfig(TransformerSettings):
    """Sizes are SASRec's, so that both compare (the paper's code: width 32, one head, three layers)."""

    pretrain_epochs: int = Field(
        0,
        ge=0,
        le=10_000,
        description="first epochs that train the autoencoder against the discriminator alone, >= 0, < epochs; behind "
        "them the recommender learns, beside the reconstruction (the paper). 0: all losses at once, throughout (ours)",
    )
    lambda_reconstruction: Weight = Field(1.0, description="weight of the reconstruction, >= 0; the paper's code: 1")
    lambda_adversary: Weight = Field(
        1.0,
        description="weight of what the encoder learns from the discriminator, >= 0; 0: there is none; the paper's "
        "code: 1",
    )
    lambda_overlap: Weight = Field(
        0.01,
        description="weight of the distance between one user's two representations, >= 0; the paper's code: 1, over "
        "the users whom both domains know, 1 to 2 % on Amazon. Here it is all, and with 1 all vectors become one",
    )
    detach_users: bool = Field(
        True,
        description="whether the recommender's loss leaves the encoder's layers alone, as in the paper's code, or "
        "trains them too",
    )
    discriminator_factor: int = Field(
        5, ge=1, le=64, description="width of the discriminator's first layer by that of a user's vector, >= 1"
    )
    discriminator_dropout: Share = Field(0.2, description="dropout in the discriminator, in [0, 1)")
    discriminator_rate: float = Field(1.0, gt=0, le=100, description="factor on the discriminator's learning rate, > 0")

    @model_validator(mode="after")
    def _recommending_is_left(self) -> Self:
        if self.pretrain_epochs and self.pretrain_epochs >= self.epochs:
            raise ValueError(
                f"pretrain_epochs must be below epochs, got pretrain_epochs={self.pretrain_epochs}, "
                f"epochs={self.epochs}; the recommender learns behind them"
            )
        return self

    @model_validator(mode="after")
    def _the_encoder_learns(self) -> Self:
        if self.lambda_reconstruction:
            return self
        if self.detach_users:
            raise ValueError(
                "lambda_reconstruction must be above 0 with detach_users, got 0; nothing else says what a user's "
                "vector is to hold"
            )
        if self.pretrain_epochs:
            raise ValueError(
                "lambda_reconstruction must be above 0 with pretrain_epochs, got 0; it is what pre-training learns"
            )
        return self
