"""REARANK's settings, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trials.backbones.decoders.settings import DecoderSettings, ItemPooling
from trials.backbones.names import Decoder
from trials.backbones.recommenders.settings import BackboneName, RetrieverSettings
from trials.training.settings.bounds import check_at_most
from trials.training.settings.config import LoopConfig
from trials.training.settings.ranges import Epochs, Layers, Rate, TextBatchSize, Weight

MOST_CANDIDATES = 26
"""Letters from A to Z."""


class RearankConfig(DecoderSettings, RetrieverSettings, LoopConfig):
    """Defaults are the paper's where we know its number; the retriever's are RecBole's.

    The paper's text was not at hand but for its first page: what is called its own below is as its README has it or as
    it is quoted elsewhere, and not checked against it. It trains all weights; numbers around LoRA and GRPO are ours.
    """

    # Training
    epochs: Epochs = Field(1, description="passes over the examples, >= 1")
    learning_rate: Rate = Field(1e-4, description="peak learning rate of AdamW, in (0, 1]; ours, for LoRA")
    batch_size: TextBatchSize = Field(16, description="prompts a step, each with a group of answers, >= 1")
    group_size: int = Field(8, ge=2, le=256, description="G: answers that are drawn for each prompt, >= 2")
    rollout_batches: int = Field(
        1,
        ge=1,
        le=1000,
        description="steps that are taken on each round of answers, >= 1; with 1 the policy that wrote them is the one "
        "that learns, and nothing is clipped",
    )
    clip: float = Field(0.2, gt=0, lt=1, description="ε of GRPO: the ratio counts within [1 - ε, 1 + ε], in (0, 1)")
    kl_weight: Weight = Field(
        0.02,
        description="β of GRPO's distance from the model as it began, >= 0; ours: the larger, the longer other orders "
        "than the retriever's are tried",
    )
    targets_per_user: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="each user's latest so many training items are targets, >= 1; null is all but the first",
    )
    training_candidates: Literal["retrieved", "held-out"] = Field(
        "retrieved",
        description="who makes the lists of training, of which those without the target are left out: the retriever, "
        "or one that was not trained on the targets, which are then as new to it as validation's",
    )

    # The list
    num_candidates: int = Field(
        20, ge=2, le=1000, description="items at the top of the retriever's list that are reordered, >= 2"
    )
    window: int = Field(
        20, ge=2, le=MOST_CANDIDATES, description="items that a prompt shows and reorders, in [2, 26]; the paper: 20"
    )
    step: int = Field(
        10,
        ge=1,
        le=MOST_CANDIDATES,
        description="items by which the window moves up from the list's end, in [1, window]; the paper: 10",
    )

    # The prompt
    max_items: int = Field(20, ge=1, le=1000, description="items of a history that the prompt shows, the latest, >= 1")
    max_item_tokens: int = Field(32, ge=1, le=512, description="tokens kept of an item's title, >= 1")
    request: Literal["auto", "history", "data"] = Field(
        "auto",
        description="what is asked: data (the history and the data set's own requests), history (it alone), auto (as "
        "data, but with item_layers as history)",
    )
    max_request_tokens: int = Field(256, ge=1, le=4096, description="tokens kept of a request, the latest, >= 1")

    # The language model
    backbone: Decoder = Field(
        "smollm2-135m",
        min_length=1,
        description="frozen decoder: asset name, hub name (the paper: Qwen/Qwen2.5-7B-Instruct), local folder, or "
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
    rank: int = Field(8, ge=0, le=1024, description="r of LoRA, >= 0; 0 leaves the backbone as it is")
    alpha: float = Field(32.0, gt=0, le=10_000, description="α of LoRA, whose updates count α / r, > 0")
    verbaliser: Literal["words", "letters", "titles"] = Field(
        "words",
        description="a candidate's logit: by the head's row of its letter (words, as the paper with numbers); by a "
        "vector of the letter's own (letters, ours); or from the state behind the candidate's title, by one vector for "
        "all (titles, ours). Ours are trained from zero, on whitened states, over a bias of each place: it begins "
        "near the retriever's order",
    )
    whiten_ridge: float = Field(
        0.1,
        gt=0,
        le=1000,
        description="with letters or titles: what is added to each variance, as a multiple of their mean, > 0",
    )
    listing: Literal["written", "first"] = Field(
        "written",
        description="how a list is made: letter by letter, the model reading what it wrote (the paper), or all at once "
        "by the logits of its first letter (FIRST, Reddy et al., EMNLP 2024: one pass instead of one a candidate)",
    )
    reasoning_tokens: int = Field(
        0, ge=0, le=8192, description="tokens that it may reason in before the list, >= 0; 0 lets it list at once"
    )

    # The retriever
    retriever: BackboneName = Field("sasrec", description="what makes the list: sasrec or bert4rec")

    @model_validator(mode="after")
    def _the_window_leaves_no_gaps(self) -> Self:
        check_at_most(self, "step", "window", "items between windows would never be reordered")
        return self

    @model_validator(mode="after")
    def _held_out_targets_are_counted(self) -> Self:
        if self.training_candidates == "held-out" and self.targets_per_user is None:
            raise ValueError(
                "targets_per_user must be a number with training_candidates=held-out, got null; the retriever would "
                "be left with one item a user: set it to 1, say"
            )
        return self

    @model_validator(mode="after")
    def _pieces_read_ahead_are_all_there_is(self) -> Self:
        more = [f"listing={self.listing}"] * (self.listing == "written")
        more += [f"reasoning_tokens={self.reasoning_tokens}"] * (self.reasoning_tokens > 0)
        besides = more + [f"request={self.request}"] * (self.request == "data")
        if self.item_layers and besides:
            raise ValueError(
                f"item_layers must be 0 with {', '.join(besides)}, got {self.item_layers}: only titles and the "
                "instruction are read ahead; set listing: first, reasoning_tokens: 0 and request: history"
            )
        if self.verbaliser == "titles" and more:
            raise ValueError(
                f"verbaliser must not be titles with {', '.join(more)}: titles are read before anything is written; "
                "set listing: first and reasoning_tokens: 0"
            )
        return self

    @property
    def learns(self) -> bool:
        """Whether anything is trained; else the language model reorders as it is."""
        return self.rank > 0 or self.verbaliser != "words"

    @property
    def reads_requests(self) -> bool:
        """Whether a prompt shows what a user asks, where a user asks anything."""
        return self.request != "history" and not self.item_layers
