"""Laser's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.decoders.settings import DecoderSettings, ItemPooling
from trials.backbones.names import Decoder
from trials.training.settings.bounds import check_at_most, check_divides
from trials.training.settings.config import AdamConfig
from trials.training.settings.ranges import (
    BatchSize,
    Epochs,
    Layers,
    Rate,
    Share,
    Temperature,
    TextBatchSize,
    Weight,
    Width,
)

Variant = Literal[
    "laser",
    "no-prefix",
    "average-pooling",
    "eos",
    "no-mformer",
    "one-expert",
    "no-balance",
    "no-phase-1",
    "no-phase-2",
]
Template = Literal["paper", "no-phrase", "no-instruction", "two-instructions"]


class LaserConfig(DecoderSettings, AdamConfig):
    """Defaults are the paper's (section 4, Appendix B) where it gives a number."""

    # Training
    epochs: Epochs = Field(20, description="passes over the users in both phases, >= 1; the paper: 15 + 5")
    phase1_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="share of the epochs that phase 1 has, in (0, 1], at least one epoch; the paper: 15 of 20. A share "
        "and not a number, so that it means the same at any number of epochs",
    )
    phase_metric: str = Field(
        "mrr", description="the metric on validation, one of `metrics`, by which phase 1's best epoch is chosen"
    )
    learning_rate: Rate = Field(1e-4, description="learning rate, in (0, 1]; the paper: 1e-4")
    batch_size: TextBatchSize = Field(4, description="users, or windows, a step, >= 1; the paper: 4")
    targets: Literal["random", "last"] = Field(
        "random",
        description="the items of a training sequence that an epoch predicts from those before each: drawn anew each "
        "epoch, or the last alone (the paper does not say)",
    )
    targets_per_user: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="how many of a sequence are drawn, where they are, >= 1; null takes all (the paper does not say)",
    )
    passes: Literal["single", "windows"] = Field(
        "single",
        description="what goes through the language model at once: a history with its one suffix (eq. 1); or a window "
        "of max_items items with a prefix and a suffix for each of its beginnings, every item behind them a target "
        "(ours: with one layer behind item_layers the same embeddings at a fraction of the cost)",
    )
    window_stride: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="windows: items between the ends of neighbouring windows, in [1, max_items]: those behind the last "
        "that many are targets, so that each target has as long a history as there is, less that; null is max_items",
    )
    windows_per_user: int | None = Field(
        None, ge=1, le=10_000, description="windows: how many of a sequence an epoch draws, >= 1; null takes all"
    )
    label_smoothing: Share = Field(
        0.0, description="share of each target of L_IIC that is spread over all items, in [0, 1) (ours)"
    )
    temperature: Temperature = Field(0.05, description="τ of L_IIC, > 0; the paper: 0.05")
    lambda_balance: Weight = Field(
        0.01, description="λ, weight of L_LB, >= 0; Appendix B trains with 0.01, section 5.6.2 finds 0.1 best"
    )

    # The text
    max_items: int = Field(50, ge=1, le=1000, description="items of a history that are read, the latest, >= 1")
    max_tokens: int = Field(
        512,
        ge=2,
        le=100_000,
        description="tokens of the list of a user's items, >= 2; the oldest items that do not fit are left out whole",
    )
    max_item_tokens: int = Field(
        48, ge=1, le=10_000, description="tokens kept of one item's text, without its number in the list, >= 1"
    )
    attributes: tuple[str, ...] | None = Field(
        None,
        description="attributes in brackets after an item's title, in order; null is all but title and description, "
        "by name (Amazon: brand and categories, as in the paper's template)",
    )
    template: Template = Field(
        "paper",
        description="the instruction: the paper's (section 4.1); Table 5's no-phrase (without 'into a single token'), "
        "no-instruction (the list alone), two-instructions (another one for items)",
    )

    # The language model
    backbone: Decoder = Field(
        "smollm2-135m",
        min_length=1,
        description="frozen decoder: asset name, hub name (the paper: openai-community/gpt2-large, "
        "meta-llama/Llama-2-7b-hf), local folder, or random-llama, random-opt, random-gpt2 (tiny, for tests)",
    )
    item_layers: Layers = Field(
        0,
        description="layers of the backbone that read each item, and the instruction's head, by itself, once, ahead of "
        "all trials, >= 0; the `num_layers` behind them see those states in place of words, between prefix and suffix "
        "(ours; 0 is the paper's form)",
    )
    item_pooling: ItemPooling = Field(
        "tokens",
        description="with item_layers: what the later layers see of an item, the state of each of its tokens, of its "
        "last one, or their mean (ours)",
    )
    variant: Variant = Field(
        "laser",
        description="laser, or an ablation of Table 3: no-prefix; average-pooling (of all outputs, no suffix); eos "
        "(the tokenizer's end of sequence as suffix); no-mformer (a learned prefix, the same for all); one-expert; "
        "no-balance (λ = 0); no-phase-1 (item embeddings of the untrained model); no-phase-2",
    )
    num_suffix: int = Field(
        1, ge=1, le=64, description="suffix tokens, whose outputs are averaged, >= 1; the paper: 1 (Fig. 4: 1 to 8)"
    )
    centre_states: bool = Field(
        False,
        description="compare h - m in place of h, with m the mean of the item embeddings in use (ours: the states of a "
        "frozen model's first layers point almost the same way)",
    )
    whiten_states: bool = Field(
        False,
        description="compare P (h - m), with m the mean of users' and of items' outputs before training and P their "
        "whitening: most of their spread lies in a few directions, in which items hardly differ (ours)",
    )
    whiten_ridge: float = Field(
        0.1,
        gt=0,
        le=1000,
        description="with whiten_states: what is added to each variance, as a multiple of their mean, > 0: the "
        "smaller, the more of the weak directions is heard, with their noise",
    )
    project_states: bool = Field(
        False,
        description="compare x + B x + b of users with x + A x of items, trained from zero: items then have a gradient "
        "(ours; in the paper their embeddings are constants of an epoch)",
    )
    item_vectors: bool = Field(
        False,
        description="add a vector of its own to each item as it is compared, trained from zero (ours)",
    )
    vector_shrinkage: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="k: a vector counts n / (n + k), with n its item's training interactions, >= 0: rare items stay "
        "what their text says (ours)",
    )
    state_dropout: Share = Field(0.0, description="dropout of users' outputs as they are compared, in [0, 1) (ours)")
    item_bias: Literal["none", "popularity"] = Field(
        "none",
        description="add nothing to the cosines (eq. 2), or a trained number an item that starts at the logarithm of "
        "its share of the training interactions (ours: training then starts at the popularity ranking)",
    )

    # The M-Former
    num_experts: int = Field(8, ge=1, le=256, description="K, query experts, >= 1; the paper: 8")
    top_experts: int = Field(3, ge=1, le=256, description="experts that are activated, in [1, K]; the paper: 3")
    prefix_length: int = Field(
        32, ge=1, le=1024, description="L, query vectors of an expert and tokens of the prefix, >= 1; the paper: 32"
    )
    former_width: Width = Field(768, description="d_m, width of the M-Former, >= 1; the paper: 768")
    former_heads: int = Field(
        12, ge=1, le=256, description="its attention heads, >= 1; divides the width; the paper: 12"
    )
    former_layers: int = Field(12, ge=1, le=100, description="Z, its transformer blocks, >= 1; the paper: 12")
    cross_every: int = Field(
        2, ge=1, le=100, description="every so many blocks one has cross-attention, the first among them; the paper: 2"
    )
    former_dropout: Share = Field(0.1, description="dropout in the M-Former, in [0, 1); as in the Q-Former")

    former_recency: bool = Field(
        False,
        description="add a trained bias to the logits of its cross-attention by how long ago an item was, which starts "
        "as ALiBi's slopes: the collaborative embeddings of a list are otherwise a set (ours)",
    )

    # The ID-based recommender
    id_recommender: Literal["bert4rec", "sasrec"] = Field(
        "bert4rec", description="frozen source of collaborative embeddings: bert4rec (the paper's) or sasrec (Fig. 5)"
    )
    id_epochs: Epochs = Field(300, description="epochs of its training at most, >= 1; RecBole: 300")
    id_patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better validation after which its training ends with the best epoch, >= 1; null "
        "trains all epochs and keeps the last",
    )
    id_copies: int = Field(
        10,
        ge=1,
        le=1000,
        description="bert4rec: times that an epoch cuts and hides the sequences anew, >= 1; its authors' code: 10",
    )
    id_batch_size: BatchSize = Field(128, description="windows a step of its training, >= 1")
    id_width: int = Field(
        64, ge=2, le=8192, multiple_of=2, description="its width d_c, even, >= 2; the paper: 2 heads of 32"
    )
    id_seed: int = Field(
        0, ge=0, lt=2**32, description="seeds its training, which all trials of a data set share, in [0, 2^32 - 1]"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_at_most(self, "top_experts", "num_experts")
        check_divides(self, "former_heads", "former_width")
        if self.phase_metric not in self.metrics:
            raise ValueError(
                f"phase_metric must be one of metrics, got phase_metric={self.phase_metric!r}, "
                f"metrics={list(self.metrics)}; add it there"
            )
        return self

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.centre_states and self.whiten_states:
            raise ValueError(
                "centre_states must be false with whiten_states, which centres as well, got true; drop one of them"
            )
        if self.passes == "windows" and (self.targets == "last" or self.targets_per_user is not None):
            raise ValueError(
                f"targets must be random and targets_per_user null with passes=windows, got targets={self.targets}, "
                f"targets_per_user={self.targets_per_user}; say windows_per_user"
            )
        if self.passes == "windows" and not self.suffix_tokens:
            raise ValueError(
                f"passes must be single where there is no suffix, got passes=windows, variant={self.variant}; "
                "set passes to single"
            )
        check_at_most(self, "window_stride", "max_items", "targets between windows would never be trained on")
        return self

    @property
    def phase1_epochs(self) -> int:
        """Epochs of phase 1; 0 in the variant without it. Phase 2 has the rest."""
        if self.variant == "no-phase-1":
            return 0
        if self.variant == "no-phase-2":
            return self.epochs
        return min(self.epochs, max(1, int(self.phase1_share * self.epochs + 0.5)))

    @property
    def has_former(self) -> bool:
        """Whether the prefix comes from the M-Former, and collaborative embeddings are wanted."""
        return self.variant not in ("no-prefix", "no-mformer")

    @property
    def prefix_tokens(self) -> int:
        """Virtual tokens in front of the instruction."""
        return 0 if self.variant == "no-prefix" else self.prefix_length

    @property
    def suffix_tokens(self) -> int:
        """Tokens behind the instruction."""
        return {"average-pooling": 0, "eos": 1}.get(self.variant, self.num_suffix)

    @property
    def experts(self) -> tuple[int, int]:
        """K and top k."""
        return (1, 1) if self.variant == "one-expert" else (self.num_experts, self.top_experts)

    @property
    def balance_weight(self) -> float:
        """λ, 0 where there is nothing to balance."""
        nothing = not self.has_former or self.experts[0] == 1 or self.variant == "no-balance"
        return 0.0 if nothing else self.lambda_balance
