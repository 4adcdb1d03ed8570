"""RecFormer's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.names import MaskedModel
from trials.training.settings.config import LoopConfig, Metrics, Schedule
from trials.training.settings.ranges import Epochs, Rate, Temperature, TextBatchSize, Weight


class RecFormerConfig(LoopConfig):
    """Defaults are the paper's, or its code's where that alone says a number, but for the backbone."""

    # Training
    epochs: Epochs = Field(20, description="passes over the users, pre-training and both stages together, >= 1")
    pretrain_epochs: int = Field(
        0,
        ge=0,
        le=10_000,
        description="first epochs that train by contrast among a batch's items and by hidden words, >= 0, < epochs. "
        "The paper pre-trains on seven other domains; here it is the data itself",
    )
    stage1_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="share of the epochs of fine-tuning in which all items are encoded anew each epoch, in (0, 1], one "
        "epoch at least; in those behind them the items of the best one are fixed. The paper ends each stage by early "
        "stopping",
    )
    stage_metric: str = Field(
        "ndcg@10", description="the metric on validation, one of `metrics`, by which stage 1's best epoch is chosen"
    )
    learning_rate: Rate = Field(5e-5, description="peak learning rate of AdamW, in (0, 1]; the paper: 5e-5")
    weight_decay: float = Field(0.0, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]; 0 is Adam")
    schedule: Schedule = "linear"
    batch_size: TextBatchSize = Field(16, description="users a step, >= 1; the paper: 64 to pre-train, 16 to fine-tune")
    targets_per_user: int | None = Field(
        1,
        ge=1,
        le=10_000,
        description="items of a training sequence that an epoch predicts from those before each, drawn anew each "
        "epoch, >= 1; the paper's code: 1; null takes all",
    )
    temperature: Temperature = Field(0.05, description="τ by which cosines are divided, > 0; the paper: 0.05")
    lambda_mlm: Weight = Field(0.1, description="λ of the hidden words in pre-training, >= 0; the paper: 0.1")
    mask_ratio: float = Field(
        0.15, gt=0, lt=1, description="share of the words that are hidden, in (0, 1); the paper: 0.15"
    )
    metrics: Metrics = ("mrr", "recall@10", "ndcg@10")

    # The text
    attributes: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="attributes of items that are read, in order; null is the title and all else that the data has but "
        "`description`, by name (the paper: title, categories and brand)",
    )
    max_attribute_tokens: int = Field(
        32, ge=1, le=10_000, description="tokens kept of an attribute, its key included, >= 1; the paper: 32"
    )
    max_items: int = Field(
        50, ge=1, le=1000, description="items of a history that are read, the latest, >= 1; the paper: 50"
    )
    max_tokens: int = Field(
        512,
        ge=2,
        le=100_000,
        description="tokens of a history, [CLS] included, >= 2; the oldest items that do not fit are left out whole; "
        "at most as many as the backbone has places; the paper: 1024, of Longformer's 4096",
    )

    # The language model
    backbone: MaskedModel = Field(
        "minilm-l6-v2",
        min_length=1,
        description="encoder of the BERT or RoBERTa family that is trained: asset name, hub name, local folder, or "
        "random-bert (tiny, for tests); the paper: Longformer, which has RoBERTa's weights",
    )
    num_layers: int | None = Field(
        None, ge=1, le=1000, description="first layers of the backbone to keep, >= 1; null keeps all"
    )
    pooling: Literal["cls", "mean"] = Field(
        "cls",
        description="what stands for a sequence or an item: the state at [CLS] (the paper), or the mean of all states, "
        "as sentence encoders such as MiniLM are trained",
    )
    attention_window: int = Field(
        64,
        ge=2,
        le=100_000,
        description="tokens around a token, half of them on each side, that it sees beside [CLS], >= 2; [CLS] sees "
        "all; the paper: 64",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the products; bfloat16 (autocast over float32 weights) is for CUDA"
    )

    @model_validator(mode="after")
    def _fine_tuning_is_left(self) -> Self:
        if self.pretrain_epochs and self.pretrain_epochs >= self.epochs:
            raise ValueError(
                f"pretrain_epochs must be below epochs, got pretrain_epochs={self.pretrain_epochs}, "
                f"epochs={self.epochs}; what is pre-trained is then fine-tuned"
            )
        return self

    @model_validator(mode="after")
    def _stage_metric_is_measured(self) -> Self:
        if self.stage_metric not in self.metrics:
            raise ValueError(
                f"stage_metric must be one of metrics, got stage_metric={self.stage_metric}, metrics={self.metrics}; "
                "add it to metrics"
            )
        return self

    @property
    def stage2_from(self) -> int:
        """The first epoch of stage 2, from 0; `epochs` if there is none."""
        tuned = self.epochs - self.pretrain_epochs
        return self.pretrain_epochs + max(1, round(tuned * self.stage1_share))
