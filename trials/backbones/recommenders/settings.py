"""Settings of the recommenders by item ids, for methods of their own and for frozen backbones. Loads no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypedDict

from pydantic import BaseModel, Field, model_validator

from trials.backbones.names import Encoder
from trials.training.settings.bounds import check_at_most, check_divides
from trials.training.settings.config import AdamConfig, Metrics
from trials.training.settings.ranges import BatchSize, Epochs, Share, Width

BlockDropout = Annotated[
    Share, Field(description="dropout of embeddings, attention weights and outputs of blocks, in [0, 1)")
]
Stride = Annotated[int | None, Field(ge=1, le=10_000)]


class Sizes(TypedDict):
    """What a Transformer over item ids is built with, besides the number of items; `TransformerEncoder` explains it."""

    max_length: int
    num_layers: int
    num_heads: int
    hidden_size: int
    inner_size: int
    dropout: float


class WindowSettings(AdamConfig):
    """How a recommender trains on windows of long sequences. Defaults are RecBole's, where one place is one example.

    Differs from RecBole: there every place is an example of its own with the items before it, 2048 a step; here a
    window's places are trained on at once.
    """

    epochs: Epochs = Field(100, description="passes over the training sequences, >= 1")
    batch_size: BatchSize = Field(128, description="windows of training sequences a step, >= 1")
    max_length: int = Field(50, ge=1, le=10_000, description="latest items of a history that the model reads, >= 1")
    stride: Stride = Field(
        None,
        description="items between the ends of neighbouring windows of a long sequence, in [1, max_length]; "
        "null is max_length, so that every item is a target once an epoch",
    )

    @model_validator(mode="after")
    def _no_gaps(self) -> Self:
        check_at_most(self, "stride", "max_length", "targets between windows would never be trained on")
        return self


class TransformerSettings(WindowSettings):
    """The sizes of RecBole's SASRec."""

    num_layers: int = Field(2, ge=1, le=48, description="Transformer layers, >= 1")
    num_heads: int = Field(2, ge=1, le=64, description="attention heads, >= 1; divides hidden_size")
    hidden_size: Width = Field(64, description="width of item vectors and states, >= 1")
    inner_size: int = Field(256, ge=1, le=32_768, description="width within the feed-forward part, >= 1")
    dropout: BlockDropout = 0.5

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        check_divides(self, "num_heads", "hidden_size")
        return self

    @property
    def sizes(self) -> Sizes:
        """What the encoder is built with."""
        return Sizes(
            max_length=self.max_length,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            hidden_size=self.hidden_size,
            inner_size=self.inner_size,
            dropout=self.dropout,
        )


class ClozeSettings(TransformerSettings):
    """The sizes of RecBole's BERT4Rec, and how places are hidden."""

    max_length: int = Field(
        50, ge=2, le=10_000, description="latest items of a history that the model reads, the mask token included, >= 2"
    )
    stride: Stride = Field(
        None,
        description="items between the ends of neighbouring windows of a long sequence, in [1, max_length]; "
        "null is max_length",
    )
    dropout: BlockDropout = 0.2
    mask_ratio: float = Field(0.2, gt=0, lt=1, description="chance of every item to be hidden, in (0, 1)")
    last_only: float = Field(
        0.5, ge=0, le=1, description="share of the batches in which the last item alone is hidden, in [0, 1]"
    )
    copies: int = Field(
        10, ge=1, le=1000, description="times that the sequences are cut and hidden anew in an epoch, >= 1"
    )


class PairSettings(AdamConfig):
    """How a CF model trains on pairs of user and item. Defaults are RecBole's, which has 300 epochs."""

    epochs: Epochs = Field(100, description="passes over the training interactions, >= 1")
    batch_size: int = Field(2048, ge=1, le=1_048_576, description="training interactions a step, >= 1")
    negatives: int = Field(1, ge=1, le=1000, description="sampled items for every interaction, >= 1")
    width: Width = Field(64, description="width of a user's and an item's vector, >= 1")


class FrozenSettings(BaseModel):
    """How long a frozen backbone trains: RecBole's 300 epochs at most, stopped by MRR@10 on validation.

    Stands before the settings that it completes among the bases of a class: its defaults win over theirs.
    """

    epochs: Epochs = Field(300, description="passes over the training sequences at most, >= 1")
    metrics: Metrics = ("mrr@10", "recall@10", "ndcg@10")
    stop_metric: str = Field("mrr@10", description="which of them early stopping goes by; more is better")
    patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better validation after which training ends with the best epoch's weights, >= 1; "
        "null trains all epochs and keeps the last",
    )
    holdout: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="each user's latest so many training interactions that it is not trained on, >= 0, so that they "
        "are as new to it as validation is; a user's first is always trained on",
    )

    fold: tuple[int, int] | None = Field(
        None,
        description="[k, K]: of K folds of the users (by their row in the whole data, modulo K) it is not trained on "
        "fold k; null trains on all",
    )
    item_text: Encoder | None = Field(
        None,
        description="encoder of item texts at whose whitened vectors the items' own begin (ours), so that like films "
        "are alike before anybody met them; null, RecBole's: random vectors",
    )

    unit_spread: float | None = Field(
        None,
        gt=0,
        le=10,
        description="standard deviation of W_2 of the feed-forward parts at the start, whose inner units are then open "
        "from the first (bias 1), and what they add up to is taken off again: a mask that shuts one moves the state "
        "(ours); null, RecBole's: 0.02 and bias 0",
    )

    @model_validator(mode="after")
    def _fold_is_one_of_them(self) -> Self:
        if self.fold is not None and not 0 <= self.fold[0] < self.fold[1]:
            raise ValueError(f"fold must be [k, K] with 0 <= k < K, got {list(self.fold)}; change one of them")
        return self

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


class RetrieverSettings(BaseModel):
    """A recommender by ids that is trained first and retrieves what a language model then ranks.

    Stands before the settings of the training among the bases of a class.
    """

    retriever_epochs: Epochs = Field(300, description="epochs of its training at most, >= 1; RecBole: 300")
    retriever_patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better validation after which its training ends with the best epoch, >= 1; null "
        "trains all epochs and keeps the last",
    )
    retriever_batch_size: BatchSize = Field(128, description="windows a step of its training, >= 1")
    retriever_width: Width = Field(64, multiple_of=2, description="its width, even, >= 2; RecBole: 64")
    retriever_dropout: Share = Field(0.5, description="its dropout, in [0, 1); RecBole: 0.5")
    retriever_seed: int = Field(
        0, ge=0, lt=2**32, description="seeds its training, which all trials of a data set share, in [0, 2^32 - 1]"
    )

    def retriever_settings(self, name: BackboneName = "sasrec", holdout: int = 0) -> BackboneSettings:
        """RecBole's recommender of this name, at the width and for the length that are asked for.

        Args:
            holdout: Each user's latest so many items are not trained on.
        """
        kind: type[SASRecSettings] | type[BERT4RecSettings] = SASRecSettings if name == "sasrec" else BERT4RecSettings
        return kind(
            epochs=self.retriever_epochs,
            patience=self.retriever_patience,
            batch_size=self.retriever_batch_size,
            hidden_size=self.retriever_width,
            inner_size=4 * self.retriever_width,
            dropout=self.retriever_dropout,
            holdout=holdout,
        )
