"""LLM4Rec's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.names import Decoder
from trials.training.settings.config import LoopConfig, Schedule, Warmup
from trials.training.settings.ranges import Epochs, Rate, TextBatchSize, Weight


class LLM4RecConfig(LoopConfig):
    """Defaults are the paper's, or those of the authors' code, but for the backbone and the number of epochs."""

    # Training
    epochs: Epochs = Field(20, description="passes over the users, >= 1; the authors' code: 100 + 150")
    pretrain_epochs: int = Field(
        10,
        ge=0,
        le=10_000,
        description="first epochs that learn to go on with item tokens, >= 0, <= epochs; the others learn to name "
        "held-out items. The authors' code: 100",
    )
    learning_rate: Rate = Field(1e-3, description="peak learning rate of AdamW, in (0, 1]; the authors' code: 1e-3")
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]: in place of the paper's λ_l"
    )
    schedule: Schedule = "constant"
    warmup_fraction: Warmup = 0.0
    batch_size: TextBatchSize = Field(20, description="documents a step, >= 1; the authors' code: 20")
    content_share: float = Field(
        1.0,
        ge=0,
        le=100,
        description="documents of texts an epoch for each of interactions, >= 0; 0 is without texts, and then nothing "
        "is regularised",
    )
    lambda_mutual: Weight = Field(
        1.0,
        description="λ_c: how strongly collaborative and content tokens hold each other, >= 0, by half the squared "
        "distance a document; the authors' code has the whole one of a batch of 20, which is 40 here",
    )
    holdout: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of a user's items that is held out in fine-tuning, one at least, in (0, 1); the authors' "
        "code: 0.2",
    )
    item_order: Literal["shuffled", "kept"] = Field(
        "shuffled",
        description="shuffled: items stand in random order, and random ones are held out (the paper); kept: they stand "
        "in their order, and those behind a random place are held out (ours, for the next item)",
    )

    # What is read
    max_items: int = Field(50, ge=1, le=1000, description="items of a user in a prompt, >= 1")
    max_text_tokens: int = Field(32, ge=1, le=512, description="first tokens of an item's text that are read, >= 1")

    # The language model
    backbone: Decoder = Field(
        "smollm2-135m",
        min_length=1,
        description="frozen decoder: asset name, hub name (the paper: openai-community/gpt2), local folder, or "
        "random-llama, random-opt, random-gpt2 (tiny, for tests)",
    )
    num_layers: int | None = Field(
        None, ge=1, le=1000, description="first layers of the backbone that are kept, >= 1; null keeps all"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the frozen weights and of their products; bfloat16 is for CUDA"
    )
    item_start: Literal["random", "title"] = Field(
        "random",
        description="an item's tokens at first: random (the paper), or the mean of its title's words (ours)",
    )
    whiten_states: bool = Field(
        False,
        description="whether whitening and a trained linear layer stand between the last states and each head (ours, "
        "for the first layers of a backbone, whose states its own head cannot read); the paper has the heads alone",
    )
    whiten_ridge: float = Field(
        0.1, gt=0, le=1000, description="what is added to each variance, as a multiple of their mean, > 0"
    )
    edge_attention: bool = Field(
        False,
        description="whether user and item tokens see each other more, or less, the more alike they are: a trained "
        "multiple of their cosine is added to the attention's logits (ours, after Laser, Appendix A)",
    )

    @model_validator(mode="after")
    def _pre_training_ends(self) -> Self:
        if self.pretrain_epochs > self.epochs:
            raise ValueError(
                f"pretrain_epochs must be at most epochs, got pretrain_epochs={self.pretrain_epochs}, "
                f"epochs={self.epochs}; lower it"
            )
        return self
