"""LlamaRec's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.decoders.settings import DecoderSettings, ItemPooling
from trials.backbones.names import Decoder
from trials.backbones.recommenders.settings import RetrieverSettings
from trials.training.settings.config import LoopConfig
from trials.training.settings.ranges import Epochs, Layers, Rate, Share, TextBatchSize

MOST_CANDIDATES = 26
"""Letters from A to Z."""


class LlamaRecConfig(DecoderSettings, RetrieverSettings, LoopConfig):
    """Defaults are the paper's where it gives a number; the retriever's are RecBole's.

    The paper's text was not at hand: its numbers are as they are quoted elsewhere, and not checked against it.
    """

    # Training
    epochs: Epochs = Field(1, description="passes over the examples of the ranking, >= 1; the paper: 1")
    learning_rate: Rate = Field(1e-4, description="peak learning rate of AdamW, in (0, 1]; the paper: 1e-4")
    batch_size: TextBatchSize = Field(16, description="examples a step, >= 1; the authors' code: 16")
    targets_per_user: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="each user's latest so many training items are targets, >= 1; null is all but the first",
    )
    training_candidates: Literal["random", "retrieved", "held-out"] = Field(
        "random",
        description="what a target stands among in training: random items in random order (the authors' code); what "
        "the retriever retrieves, best first, without targets that it does not (ours); or what one retrieves that was "
        "not trained on the targets, which are then as new to it as validation's (ours)",
    )

    # The prompt
    candidates: int = Field(
        20, ge=2, le=MOST_CANDIDATES, description="K: items that are retrieved and ranked, in [2, 26]; the paper: 20"
    )
    max_items: int = Field(
        20, ge=1, le=1000, description="items of a history that the prompt shows, the latest, >= 1; the paper: 20"
    )
    max_item_tokens: int = Field(
        32, ge=1, le=512, description="tokens kept of an item's title, >= 1; the authors' code: 32"
    )

    # The language model
    backbone: Decoder = Field(
        "smollm2-135m",
        min_length=1,
        description="frozen decoder: asset name, hub name (the paper: meta-llama/Llama-2-7b-hf), local folder, or "
        "random-llama, random-opt, random-gpt2 (tiny, for tests)",
    )
    item_layers: Layers = Field(
        0,
        description="layers of the backbone that read each title, letter and part of the instruction by itself, once, "
        "ahead of all trials, >= 0; the `num_layers` behind them read prompts of those states (ours; 0 is the paper's "
        "form)",
    )
    item_pooling: ItemPooling = Field(
        "tokens",
        description="with item_layers: what a prompt has of each of these, the state of each of its tokens, of its "
        "last one, or their mean (ours)",
    )
    rank: int = Field(8, ge=0, le=1024, description="r of LoRA, >= 0; 0 leaves the backbone as it is; the paper: 8")
    alpha: float = Field(32.0, gt=0, le=10_000, description="α of LoRA, whose updates count α / r, > 0; the paper: 32")
    adapter_dropout: Share = Field(0.05, description="dropout of what LoRA reads, in [0, 1); the paper: 0.05")
    verbaliser: Literal["words", "letters", "titles"] = Field(
        "words",
        description="a candidate's logit, from the state behind the prompt: by the letter's row of the "
        "backbone's head (the paper); or by a vector of the letter's own (letters, ours); or "
        "from the state behind the candidate's title, by one vector for all (titles, ours: no letter need be copied). "
        "Ours are trained from zero, on whitened states, over a bias that starts at how often each place has the "
        "target",
    )
    whiten_ridge: float = Field(
        0.1,
        gt=0,
        le=1000,
        description="with letters or titles: what is added to each variance, as a multiple of their mean, > 0: the "
        "smaller, the more of the weak directions is heard, with their noise",
    )

    @model_validator(mode="after")
    def _something_is_trained(self) -> Self:
        if not self.rank and self.verbaliser == "words":
            raise ValueError(
                "rank must be at least 1 with verbaliser=words, got 0; otherwise nothing is trained: raise it, or set "
                "verbaliser to letters or titles"
            )
        return self

    @model_validator(mode="after")
    def _held_out_targets_are_counted(self) -> Self:
        if self.training_candidates == "held-out" and self.targets_per_user is None:
            raise ValueError(
                "targets_per_user must be a number with training_candidates=held-out, got null; the retriever would "
                "be left with one item a user: set it to 1, say"
            )
        return self
