"""Settings of the recommenders by item ids, for methods of their own and for frozen backbones. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from trials.training.config import LoopConfig


class WindowSettings(LoopConfig):
    """How a recommender trains on windows of long sequences. Defaults are RecBole's, where one place is one example.

    Differs from RecBole: there every place is an example of its own with the items before it, 2048 a step; here a
    window's places are trained on at once.
    """

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

    @model_validator(mode="after")
    def _no_gaps(self) -> Self:
        if self.stride is not None and self.stride > self.max_length:
            raise ValueError(
                f"stride must not exceed max_length, got stride={self.stride}, max_length={self.max_length}; "
                "targets between windows would never be trained on"
            )
        return self


class TransformerSettings(WindowSettings):
    """The sizes of RecBole's SASRec."""

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
        return self


class ClozeSettings(TransformerSettings):
    """The sizes of RecBole's BERT4Rec, and how places are hidden."""

    max_length: int = Field(
        50, ge=2, le=10_000, description="latest items of a history that the model reads, the mask token included, >= 2"
    )
    stride: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="items between the ends of neighbouring windows of a long sequence, in [1, max_length]; "
        "null is max_length",
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="dropout of embeddings, attention weights and outputs of blocks, in [0, 1)"
    )
    mask_ratio: float = Field(0.2, gt=0, lt=1, description="chance of every item to be hidden, in (0, 1)")
    last_only: float = Field(
        0.5, ge=0, le=1, description="share of the batches in which the last item alone is hidden, in [0, 1]"
    )
    copies: int = Field(
        10, ge=1, le=1000, description="times that the sequences are cut and hidden anew in an epoch, >= 1"
    )


class PairSettings(LoopConfig):
    """How a CF model trains on pairs of user and item. Defaults are RecBole's, which has 300 epochs."""

    epochs: int = Field(100, ge=1, le=10_000, description="passes over the training interactions, >= 1")
    weight_decay: float = Field(0.0, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]; 0 is Adam")
    schedule: Literal["cosine", "constant", "linear"] = Field(
        "constant", description="learning rate after warm-up: cosine or linear to 0 at the last step, or constant"
    )
    warmup_fraction: float = Field(
        0.0, ge=0, lt=1, description="share of all steps over which the learning rate rises from 0, in [0, 1)"
    )
    batch_size: int = Field(2048, ge=1, le=1_048_576, description="training interactions a step, >= 1")
    negatives: int = Field(1, ge=1, le=1000, description="sampled items for every interaction, >= 1")
    width: int = Field(64, ge=1, le=8192, description="width of a user's and an item's vector, >= 1")


class FrozenSettings(BaseModel):
    """How long a frozen backbone trains: RecBole's 300 epochs at most, stopped by MRR@10 on validation.

    Stands before the settings that it completes among the bases of a class: its defaults win over theirs.
    """

    epochs: int = Field(300, ge=1, le=10_000, description="passes over the training sequences at most, >= 1")
    metrics: tuple[str, ...] = Field(
        ("mrr@10", "recall@10", "ndcg@10"),
        min_length=1,
        description="ranking metrics on validation: mrr, mrr@k, recall@k, ndcg@k",
    )
    stop_metric: str = Field("mrr@10", description="which of them early stopping goes by; more is better")
    patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better validation after which training ends with the best epoch's weights, >= 1; "
        "null trains all epochs and keeps the last",
    )

    @model_validator(mode="after")
    def _stop_metric_is_measured(self) -> Self:
        if self.stop_metric not in self.metrics:
            raise ValueError(
                f"stop_metric must be one of metrics, got stop_metric={self.stop_metric}, metrics={self.metrics}; "
                "add it to metrics"
            )
        return self


class SASRecSettings(FrozenSettings, TransformerSettings):
    """A frozen SASRec."""


class BERT4RecSettings(FrozenSettings, ClozeSettings):
    """A frozen BERT4Rec."""


BackboneName = Literal["sasrec", "bert4rec"]
BackboneSettings = SASRecSettings | BERT4RecSettings
