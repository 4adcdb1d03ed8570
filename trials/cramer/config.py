"""CRAMER's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.names import Encoder
from trials.backbones.settings import BackboneName, BackboneSettings, BERT4RecSettings, SASRecSettings
from trials.cramer.schedules import Course
from trials.cramer.scopes import Scope
from trials.training.config import LoopConfig


class CRAMERConfig(LoopConfig):
    """Defaults are the paper's where it gives a number: appendix B.3 for the masks, RecBole's for the backbone."""

    # Training
    epochs: int = Field(20, ge=1, le=10_000, description="passes over the training examples, >= 1")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW, in (0, 1]")
    encoder_learning_rate: float = Field(
        2e-5, gt=0, le=1, description="tuned last or all: peak learning rate of the request encoder, in (0, 1]"
    )
    batch_size: int = Field(256, ge=1, le=65_536, description="training examples a step, >= 1")
    targets_per_user: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="train on each user's latest so many interactions only, >= 1; null takes all but a user's first",
    )
    metrics: tuple[str, ...] = Field(
        ("mrr", "recall@10", "recall@20", "ndcg@10", "ndcg@20", "mrr@10", "mrr@20"),
        min_length=1,
        description="ranking metrics on validation: mrr, mrr@k, recall@k, ndcg@k",
    )
    sampled_negatives: int = Field(
        100,
        ge=0,
        le=10_000,
        description="items that the user never met, drawn once, against which targets are ranked besides (metrics "
        "sampled/...), >= 0; the paper: 100; 0 ranks among all items only",
    )

    # The backbone, trained once for a data set and these settings, then frozen
    backbone: BackboneName = Field("sasrec", description="frozen recommender that the masks act on: sasrec or bert4rec")
    backbone_seed: int = Field(
        0, ge=0, lt=2**32, description="seeds the backbone's training, in [0, 2^32 - 1]; the same for all trials"
    )
    backbone_epochs: int = Field(
        300, ge=1, le=10_000, description="passes of the backbone's training at most, >= 1; RecBole: 300"
    )
    backbone_patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better validation after which the backbone's training ends, >= 1; null trains "
        "all epochs",
    )
    backbone_learning_rate: float = Field(1e-3, gt=0, le=1, description="of the backbone's training, in (0, 1]")
    backbone_batch_size: int = Field(128, ge=1, le=65_536, description="windows a step of its training, >= 1")
    backbone_dropout: float | None = Field(
        None, ge=0, lt=1, description="of its training, in [0, 1); null is its own default (SASRec 0.5, BERT4Rec 0.2)"
    )
    num_layers: int = Field(2, ge=1, le=48, description="the backbone's Transformer layers, >= 1")
    num_heads: int = Field(2, ge=1, le=64, description="its attention heads, >= 1; divides hidden_size")
    hidden_size: int = Field(64, ge=1, le=8192, description="width of its item vectors and states, >= 1")
    inner_size: int = Field(256, ge=1, le=32_768, description="width within its feed-forward part, >= 1")
    max_length: int = Field(50, ge=2, le=10_000, description="latest items of a history that it reads, >= 2")

    # Requests
    request: Literal["auto", "history", "data", "none"] = Field(
        "auto",
        description="what users ask: data (the data set's own requests), history (the text of the latest items), auto "
        "(data where there are any), none (the backbone without masks; nothing is trained)",
    )
    request_items: int = Field(
        3, ge=1, le=100, description="latest items whose text makes a request of a history, >= 1; the paper: 3"
    )
    max_request_tokens: int = Field(
        512, ge=2, le=512, description="tokens read of a request, >= 2: the first, and the latest of the rest"
    )
    encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="request encoder: asset name, hub name (the paper: google-bert/bert-base-uncased, "
        "FacebookAI/roberta-base, answerdotai/ModernBERT-base), local folder, or random-bert (tiny, for tests)",
    )
    tuned: Literal["none", "last", "all"] = Field(
        "none", description="φ_t, what of the request encoder is trained: none, its last layer, all of it"
    )

    # Masks
    scope: Scope = Field("both", description="θ_M, the maskable matrices: ffn, output (W_O), both")
    drop_ratio: float = Field(
        0.1, gt=0, lt=1, description="ρ, share of the gates that are shut, in (0, 1); the paper: 0.05 to 0.25"
    )
    lambda_kl: float = Field(
        0.1, ge=0, le=100, description="λ_KL, weight of the prior on open gates, >= 0; the paper: 0.1 to 0.5"
    )
    shared: bool = Field(
        False, description="draw one mask for a whole training batch, from its mean logits, instead of one a request"
    )
    course: Course = Field("cosine", description="of τ over training: linear, exponential, cosine")
    tau_start: float = Field(0.7, gt=0, le=100, description="τ at the first step, > 0; the paper: 0.7")
    tau_end: float = Field(0.3, gt=0, le=100, description="τ at the last step, > 0; the paper: 0.3")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads must divide hidden_size, got num_heads={self.num_heads}, hidden_size={self.hidden_size}; "
                "change one of them"
            )
        return self

    @property
    def backbone_settings(self) -> BackboneSettings:
        """How the backbone is built and trained."""
        kind: type[SASRecSettings] | type[BERT4RecSettings]
        kind = SASRecSettings if self.backbone == "sasrec" else BERT4RecSettings
        dropout = {} if self.backbone_dropout is None else {"dropout": self.backbone_dropout}
        return kind(
            epochs=self.backbone_epochs,
            patience=self.backbone_patience,
            learning_rate=self.backbone_learning_rate,
            batch_size=self.backbone_batch_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            hidden_size=self.hidden_size,
            inner_size=self.inner_size,
            max_length=self.max_length,
            **dropout,
        )
