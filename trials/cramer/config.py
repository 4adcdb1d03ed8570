"""CRAMER's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import BackboneName, BackboneSettings, BERT4RecSettings, SASRecSettings
from trials.cramer.schedules import Course
from trials.cramer.scopes import Scope
from trials.training.settings.bounds import check_divides
from trials.training.settings.config import LoopConfig, Metrics
from trials.training.settings.ranges import BatchSize, Epochs, Rate, Share, Temperature, Weight, Width


class CRAMERConfig(LoopConfig):
    """Defaults are the paper's where it gives a number: appendix B.3 for the masks, RecBole's for the backbone."""

    # Training
    epochs: Epochs = Field(20, description="passes over the training examples, >= 1")
    encoder_learning_rate: Rate = Field(
        2e-5, description="tuned last or all: peak learning rate of the request encoder, in (0, 1]"
    )
    batch_size: BatchSize = Field(256, description="training examples a step, >= 1")
    targets_per_user: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="train on each user's latest so many interactions only, >= 1; null takes all but a user's first",
    )
    metrics: Metrics = ("mrr", "recall@10", "recall@20", "ndcg@10", "ndcg@20", "mrr@10", "mrr@20")
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
    backbone_epochs: Epochs = Field(300, description="passes of the backbone's training at most, >= 1; RecBole: 300")
    backbone_patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better validation after which the backbone's training ends, >= 1; null trains "
        "all epochs",
    )
    backbone_learning_rate: Rate = Field(1e-3, description="of the backbone's training, in (0, 1]")
    backbone_batch_size: BatchSize = Field(128, description="windows a step of its training, >= 1")
    backbone_dropout: float | None = Field(
        None, ge=0, lt=1, description="of its training, in [0, 1); null is its own default (SASRec 0.5, BERT4Rec 0.2)"
    )
    backbone_folds: int = Field(
        0,
        ge=0,
        le=100,
        description="cross-fitting: masks learn of each user on a backbone that was trained, from the same start, "
        "without that user's fold of so many, and answer on the whole one; 0, the paper's: on the whole one throughout",
    )
    backbone_item_start: Literal["random", "text"] = Field(
        "random",
        description="where its item vectors begin: random (RecBole's), text (ours: at the whitened vectors of the "
        "items' texts under the request encoder)",
    )
    backbone_unit_spread: float | None = Field(
        None,
        gt=0,
        le=10,
        description="its inner units are open from the start, each with a direction of this spread, so that a mask "
        "that shuts one moves the state (ours); null, RecBole's: units start near 0, and masks move little",
    )
    num_layers: int = Field(2, ge=1, le=48, description="the backbone's Transformer layers, >= 1")
    num_heads: int = Field(2, ge=1, le=64, description="its attention heads, >= 1; divides hidden_size")
    hidden_size: Width = Field(64, description="width of its item vectors and states, >= 1")
    inner_size: int = Field(256, ge=1, le=32_768, description="width within its feed-forward part, >= 1")
    max_length: int = Field(50, ge=2, le=10_000, description="latest items of a history that it reads, >= 2")

    backbone_holdout: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="each user's latest so many training interactions that the backbone is not trained on, >= 0, and "
        "masks on these alone, which it cannot know by heart; 0, the paper's, trains both on all",
    )

    # Requests
    request: Literal["auto", "history", "data", "same", "none"] = Field(
        "auto",
        description="what users ask: data (the data set's own requests), history (the text of the latest items), auto "
        "(data where there are any), same (everybody the same: one mask for all, a control), none (the backbone "
        "without masks; nothing is trained)",
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

    request_components: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="W_proj reads so many principal components of the training requests' vectors, whitened, >= 1 "
        "(ours); null, the paper's: the vectors themselves",
    )
    request_dropout: Share = Field(0.0, description="dropout of what W_proj reads, in [0, 1); the paper: 0")

    # Masks
    scope: Scope = Field("both", description="θ_M, the maskable matrices: ffn, output (W_O), both")
    drop_ratio: float = Field(
        0.1, gt=0, lt=1, description="ρ, share of the gates that are shut, in (0, 1); the paper: 0.05 to 0.25"
    )
    lambda_kl: Weight = Field(0.1, description="λ_KL, weight of the prior on open gates, >= 0; the paper: 0.1 to 0.5")
    shared: bool = Field(
        False, description="draw one mask for a whole training batch, from its mean logits, instead of one a request"
    )
    text_weight: Weight = Field(
        0.0,
        description="γ, with which the cosine of request and item text counts beside the backbone's scores in what "
        "masks are taught, >= 0 (ours); 0, the paper's: they learn from next items alone",
    )
    lambda_next: Weight = Field(1.0, description="weight of the next item's cross-entropy, >= 0; the paper: 1")
    projection_start: Literal["random", "zero"] = Field(
        "random",
        description="of W_proj: random (torch's, the paper's), zero (ours: at first all requests have the same mask)",
    )
    noise: float = Field(
        1.0, ge=0, le=100, description="scale of the Gumbel noise that chooses gates in training, >= 0; the paper: 1"
    )
    surrogate: Literal["softmax", "threshold"] = Field(
        "softmax",
        description="whose gradient gates have: softmax (section 3.4), threshold (ours: a sigmoid about the choice's "
        "own threshold, so that shut gates learn like open ones)",
    )
    course: Course = Field("cosine", description="of τ over training: linear, exponential, cosine")
    tau_start: Temperature = Field(0.7, description="τ at the first step, > 0; the paper: 0.7")
    tau_end: Temperature = Field(0.3, description="τ at the last step, > 0; the paper: 0.3")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        check_divides(self, "num_heads", "hidden_size")
        return self

    @model_validator(mode="after")
    def _folds_are_like_the_whole(self) -> Self:
        if self.backbone_folds == 1:
            raise ValueError("backbone_folds must be 0 or at least 2, got 1; one fold would leave nobody to train on")
        if self.backbone_folds and self.backbone_patience is not None:
            raise ValueError(
                f"backbone_folds need backbone_patience: null, so that all backbones train as many epochs, got "
                f"{self.backbone_patience}"
            )
        return self

    @model_validator(mode="after")
    def _texts_are_compared_in_fixed_vectors(self) -> Self:
        if self.text_weight and self.tuned != "none":
            raise ValueError(
                f"text_weight must be 0 where the encoder is tuned, got {self.text_weight} and tuned={self.tuned}; set "
                "tuned: none, whose vectors stay as they are"
            )
        return self

    @model_validator(mode="after")
    def _components_are_of_fixed_vectors(self) -> Self:
        if self.request_components is not None and self.tuned != "none":
            raise ValueError(
                f"request_components must be null where the encoder is tuned, got {self.request_components} and "
                f"tuned={self.tuned}; set tuned: none, whose vectors stay as they are"
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
            holdout=self.backbone_holdout,
            unit_spread=self.backbone_unit_spread,
            item_text=self.encoder if self.backbone_item_start == "text" else None,
            **dropout,
        )
