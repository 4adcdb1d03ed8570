"""Prompt-BERT's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.names import MaskedModel
from trials.training.settings.bounds import check_at_most
from trials.training.settings.config import LoopConfig, Metrics, Schedule, Warmup
from trials.training.settings.ranges import Epochs, Layers, Rate, Share, Temperature, TextBatchSize, Weight, Width

Variant = Literal["full", "without-moe", "without-short", "without-long", "backbone"]


class PromptBERTConfig(LoopConfig):
    """Defaults are the paper's (sections 4.1.2, 4.3) where it gives a number, but for the backbone."""

    # Training and evaluation
    epochs: Epochs = Field(10, description="passes over the windows, >= 1; the paper gives no number")
    learning_rate: Rate = Field(1e-4, description="learning rate of AdamW, in (0, 1]; the paper: 1e-4")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]; the paper: 0.01, of 0.01 to 0.0001"
    )
    schedule: Schedule = Field(
        "constant",
        description="learning rate after warm-up: constant (the paper), or cosine or linear to 0 at the last step",
    )
    warmup_fraction: Warmup = 0.0
    batch_size: TextBatchSize = Field(16, description="windows a step, >= 1; the paper: 16")
    metrics: Metrics = ("mrr", "recall@5", "recall@10", "ndcg@5", "ndcg@10")
    sampled_negatives: int = Field(
        100,
        ge=0,
        le=10_000,
        description="items that the user never met, drawn once, against which targets are ranked besides (metrics "
        "sampled/...), >= 0; the paper: 100 and no full ranking; 0 ranks among all items only",
    )
    sampled_by: Literal["uniform", "popularity"] = Field(
        "popularity", description="how they are drawn: popularity (by training interactions; the paper), or uniform"
    )

    # Prompts and windows
    max_tokens: int = Field(
        512,
        ge=8,
        le=8192,
        description="longest prompt in tokens, [CLS] and [SEP] included; the oldest statements that do not fit are "
        "left out whole; >= 8; the paper: 512 (2048 with ModernBERT in Table 8)",
    )
    max_windows: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="M, windows of a user an epoch trains on, the latest, >= 1; null takes all; the paper: 8",
    )
    stride: int = Field(
        1, ge=1, le=10_000, description="s, interactions between the targets of a user's windows, >= 1; the paper: 2"
    )
    template: Literal["auto", "movies", "products", "items"] = Field(
        "auto", description="words of the prompt; auto goes by the data set's name"
    )
    unrated_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the windows, drawn anew each epoch, whose prompts leave ratings out, so that the model "
        "knows the histories of people who give none (ours; the paper: 0); 1 never says a rating",
    )
    max_genre_tokens: int | None = Field(
        None, ge=1, le=512, description="tokens kept of an item's genres, >= 1; null keeps all, as the paper does"
    )

    # Backbone
    backbone: MaskedModel = Field(
        "minilm-l6-v2",
        min_length=1,
        description="masked language model, trained in full: asset name, hub name (the paper: "
        "google-bert/bert-base-uncased), local folder, or random-bert, random-minilm, random-roberta, "
        "random-distilbert, random-modernbert (tiny, for tests)",
    )
    num_layers: int | None = Field(
        None, ge=1, le=1000, description="first layers of the backbone to keep, >= 1; null keeps all"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the products; bfloat16 (autocast over float32 weights) is for CUDA"
    )
    statement_layers: Layers = Field(
        0,
        description="first layers, frozen, that read every statement alone, once, ahead of all trials (ours): a "
        "statement is one token of a prompt then, ratings are not told, the targets of a user share prompts, and the "
        "logits come from vectors of their own; 0: all layers read whole prompts, one a target (the paper)",
    )
    join_statements: bool = Field(
        False,
        description="whether a [MASK] begins on the statement before it and a [CLS] on the mean of the statements "
        "before it, as they would have gathered in the first layers (ours; asks for statement_layers)",
    )
    centre_gate: bool = Field(
        False,
        description="whether the gate has a bias, which begins so that no expert is preferred on average (ours; asks "
        "for statement_layers)",
    )
    residual_of: Literal["mixture", "encoder"] = Field(
        "mixture",
        description="main branch of the residual: the mixture's output (the paper), or the encoder's own state at "
        "[MASK] (ours), beside which the mixture's is small at the start",
    )
    encoder_rate: float = Field(
        1.0, gt=0, le=100, description="factor on the learning rate of the encoder's layers, > 0 (the paper: 1)"
    )
    title_rate: float = Field(
        1.0,
        gt=0,
        le=100,
        description="factor on the learning rate of the embeddings, titles' among them, > 0 (the paper: 1)",
    )
    router_rate: float = Field(
        1.0,
        gt=0,
        le=100,
        description="factor on the learning rate of the gate and of the fusion's MLP, > 0 (the paper: 1); below 1 they "
        "choose among experts and branches that have learnt something",
    )
    condition_states: Literal["none", "whiten"] = Field(
        "none",
        description="states at [MASK] ahead of the logits: as they are (the paper), or whitened by what real histories "
        "have before training (ours; asks for statement_layers)",
    )
    whiten_ridge: float = Field(
        0.1, gt=0, le=100, description="share of the mean variance that whitening adds to every direction's, > 0"
    )
    label_smoothing: Share = Field(
        0.0, description="share of each target that is spread over all items, in [0, 1) (the paper: 0)"
    )
    head_dropout: Share = Field(
        0.0, description="dropout of the states ahead of the logits, in [0, 1) (the paper: none)"
    )
    item_bias: Literal["zero", "popularity"] = Field(
        "zero",
        description="bias of the title tokens' logits at the start: zero, as tokens new to a model have it, or the "
        "logarithm of each item's share of the training interactions (ours)",
    )
    variant: Variant = Field(
        "full",
        description="Table 7: full, without-moe, without-short, without-long, or backbone (none of the three: the "
        "backbone's state at [MASK])",
    )

    # Mixture of experts
    experts: int = Field(4, ge=1, le=64, description="N, experts of the mixture, >= 1; the paper: 4")
    top_k: int = Field(2, ge=1, le=64, description="k, experts a prompt is sent to, in [1, experts]; the paper: 2")
    contrast: bool = Field(
        True, description="whether windows of tokens of the mixture's output are contrasted, user by user"
    )
    contrast_weight: Weight = Field(0.1, description="weight of that loss, >= 0; the paper gives no number")
    contrast_temperature: Temperature = Field(0.1, description="τ of that loss, > 0; the paper gives no number")
    contrast_window: int = Field(
        16, ge=1, le=4096, description="w, tokens of a window of that loss, >= 1; the paper gives no number"
    )
    contrast_similarity: Literal["inner", "cosine"] = Field(
        "inner", description="similarity of windows: inner product (the paper), or cosine (ours: bounded)"
    )
    contrast_group: int = Field(
        4,
        ge=1,
        le=4096,
        description="neighbouring prompts of a batch that are contrasted with each other, >= 1; 4 is what each of the "
        "paper's four GPUs holds of a batch",
    )

    # Short-term branch and fusion
    attention_heads: int = Field(
        4, ge=1, le=64, description="heads of the short-term attention, >= 1; divides the width; the paper: 4"
    )
    fusion_temperature: Temperature = Field(
        1.0, description="τ of the softmax over branches, > 0; the paper gives no number"
    )
    equal_branches: bool = Field(
        False, description="whether every branch is normed before the fusion, and so is the main branch (ours)"
    )
    fusion_hidden: Width = Field(128, description="width within the MLP that scores branches, >= 1; the paper: small")
    residual: Weight = Field(
        0.5, description="λ, weight of the main branch's residual, >= 0; the paper gives no number"
    )

    @model_validator(mode="after")
    def _choice_fits(self) -> Self:
        if not self.statement_layers:
            for name, off in (("condition_states", "none"), ("join_statements", False), ("centre_gate", False)):
                if (value := getattr(self, name)) != off:
                    raise ValueError(
                        f"{name} must be {str(off).lower()} without statement_layers, got {str(value).lower()}; "
                        "set statement_layers"
                    )
        check_at_most(self, "top_k", "experts")
        return self
