"""The settings that DARec and MixRec share, each with its unit, range and origin. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from trials.backbones.decoders.settings import DecoderSettings, ItemPooling
from trials.backbones.names import Decoder, Encoder, decoder_layers
from trials.dual.composition import Composition
from trials.dual.layout import parse_layout
from trials.training.settings.bounds import check_at_most
from trials.training.settings.config import LoopConfig
from trials.training.settings.ranges import Epochs, Layers, Rate, Share, Temperature, TextBatchSize, Weight, Width


class DualConfig(DecoderSettings, LoopConfig):
    """Defaults are the papers' (section 3.1.4, Table 3) where they give a number."""

    VARIANTS: ClassVar[Mapping[str, Composition]] = {}
    """What each value of `variant` is made of; a method names its own."""

    # Training
    epochs: Epochs = Field(40, description="passes over the users' sequences, >= 1; the paper: 40")
    learning_rate: Rate = Field(5e-5, description="peak learning rate of AdamW, in (0, 1]; the paper: 5e-5")
    batch_size: TextBatchSize = Field(
        8, description="user sequences, or windows of them, a step, >= 1; the paper: 5 to 8"
    )
    align_batch_size: TextBatchSize = Field(
        8,
        description="items of L_align a step, >= 1. Every step sees `batch_size` sequences and this many items, which "
        "walk through a shuffled list of all items and start over at its end; the paper does not say how it mixes them",
    )
    max_items: int = Field(
        20, ge=1, le=1000, description="items of a history that the language model reads, the latest, >= 1"
    )
    windows: Literal["all", "last", "random"] = Field(
        "all",
        description="what an epoch reads of a training sequence longer than max_items + 1: all of it, in windows that "
        "have every next item as a target once (ours; the papers' sequences are short), the last part alone, or one "
        "part drawn anew each epoch",
    )
    max_sentence_tokens: int = Field(
        30, ge=1, le=512, description="tokens kept of an item sentence, without [SEQ] or [ALIGN], >= 1; the paper: 30"
    )

    # The language model and what is put into it
    backbone: Decoder = Field(
        "smollm2-135m",
        min_length=1,
        description="frozen decoder: asset name, hub name (the paper: facebook/opt-125m), local folder, or "
        "random-llama, random-opt, random-gpt2 (tiny, for tests)",
    )
    item_layers: Layers = Field(
        0,
        description="layers of the backbone that read each item by itself, once, ahead of all trials, >= 0; the "
        "`num_layers` behind them are adapted and see those states in place of words (ours; 0 is the papers' form)",
    )
    item_pooling: ItemPooling = Field(
        "tokens",
        description="with item_layers: what the adapted layers see of an item, the state of each of its tokens, of "
        "its last one, or their mean; a sequence of single states is several times as short (ours)",
    )
    join_special: bool = Field(
        False,
        description="add [SEQ] and [ALIGN] to the state of their item's last token, where they are then read, rather "
        "than put them behind it: with single states, half the tokens again (ours)",
    )
    variant: str = Field(description="which parts the model has; a key of VARIANTS")
    layout: str = Field(
        "serial",
        description="adapter design of every DALayer: `serial`, `parallel`, or one group of bits a layer "
        "(causal, context, recommend; 1 = parallel) such as 010-000-111",
    )
    replace_every: int = Field(
        1,
        ge=1,
        le=1000,
        description="r: every r-th layer becomes a DALayer, >= 1; the paper: 1 (a figure: 1 to 6)",
    )
    bottleneck: Width = Field(64, description="rows of an adapter's W1, >= 1; the paper: 64")
    hard_routing: bool = Field(
        False, description="send each token to the likelier branch alone instead of mixing both (straight-through)"
    )
    item_bias: Literal["zero", "popularity"] = Field(
        "zero",
        description="b_item at the start: zero, or the logarithm of each item's share of the training interactions "
        "(ours: training then starts at the popularity ranking)",
    )

    condition_states: Literal["none", "centre", "whiten"] = Field(
        "centre",
        description="what the item projection reads of a state h: h itself (none, the papers); (h - m) / s, with m the "
        "mean of a special token's states before training and s the spread of [SEQ]'s, which Adam learns several times "
        "faster (centre, ours); or P (h - m), with P the whitening of [SEQ]'s states: most of their spread lies in a "
        "few directions, in which items hardly differ (whiten, ours)",
    )
    whiten_ridge: float = Field(
        0.1,
        gt=0,
        le=1000,
        description="with whiten: what is added to each variance, as a multiple of their mean, > 0: the smaller, the "
        "more of the weak directions is heard, with their noise",
    )
    item_start: Literal["noise", "text"] = Field(
        "noise",
        description="W_item at the start: near zero, or each item's own conditioned [SEQ] state, so that items with "
        "like texts begin with like scores (ours)",
    )
    head: Literal["free", "low-rank", "collaborative"] = Field(
        "free",
        description="W_item: one free matrix (the papers), whose items x hidden numbers learn small data by heart; "
        "item vectors of width head_rank times one matrix (ours); or the CF model's e_item times one matrix: what an "
        "item is as an input it is as an output too, as in SASRec (ours)",
    )
    head_rank: Width = Field(64, description="low-rank: width of the item vectors, >= 1")

    # Against learning by heart (ours; the papers have none)
    head_dropout: Share = Field(0.0, description="dropout of the states that the item projection reads, in [0, 1)")
    input_dropout: Share = Field(
        0.0, description="dropout of the words' embeddings, or of the states of items read once, in [0, 1)"
    )
    user_dropout: Share = Field(
        0.0,
        description="share of the training sequences that have the mean user's vector, as users who were not in "
        "training do, in [0, 1): a vector of one's own is the shortest way to learn one's few items by heart",
    )
    label_smoothing: Share = Field(
        0.0, description="share of each target of L_seq that is spread over all items, in [0, 1)"
    )
    router_floor: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="least weight of either branch, in [0, 0.5): a branch that the router has given up learns no more",
    )
    head_rate: float = Field(1.0, gt=0, le=1000, description="factor on the learning rate of the item projection, > 0")
    cf_rate: float = Field(
        1.0, gt=0, le=1000, description="factor on the rate of the CF model and of its injection into layers, > 0"
    )
    router_rate: float = Field(1.0, gt=0, le=1000, description="factor on the learning rate of the routers, > 0")
    head_decay: float = Field(1.0, ge=0, le=1000, description="factor on the weight decay of the item projection, >= 0")
    cf_decay: float = Field(
        1.0, ge=0, le=1000, description="factor on the decay of the CF model and of its injection into layers, >= 0"
    )
    router_decay: float = Field(1.0, ge=0, le=1000, description="factor on the weight decay of the routers, >= 0")

    # Losses
    lambda_align: Weight = Field(0.1, description="λ1, weight of L_align, >= 0; Table 3: 0.05 to 0.2")
    lambda_cl: Weight = Field(
        1e-3, description="λ2, weight of L_cl, >= 0, 0 skips its forward pass; Table 3: 1e-6 to 1e-3"
    )
    lambda_cf: Weight = Field(0.01, description="λ3, weight of L_cf, >= 0; Table 3: 0.001 to 0.1")
    condition_contrast: bool = Field(
        False,
        description="L_cl on the states as the item projection reads them: all raw states point the same way, and "
        "their cosines hardly differ (ours)",
    )
    temperature: Temperature = Field(1.0, description="τ of L_cl, > 0; the paper: 1.0")
    num_samples: int = Field(
        1, ge=1, le=100, description="n_s, positions drawn a sequence for L_cl, >= 1; the paper: 1"
    )
    num_negatives: int = Field(5, ge=1, le=100, description="n_cl, hard items for each of them, >= 1; the paper: 5")
    hard_fraction: float = Field(
        0.005,
        gt=0,
        le=1,
        description="share of all items counted as similar, by text and by interactions, in (0, 1]; the paper: 0.005",
    )
    hard_mf_width: int = Field(
        1000,
        ge=1,
        le=10_000,
        description="width of the factorisation behind similar interactions, >= 1, capped by the data; the paper: 1000",
    )
    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="encoder of item sentences for hard items: asset name, hub name (the paper: "
        "google-bert/bert-base-uncased), local folder, or random-bert (tiny, for tests)",
    )

    # Collaborative filtering
    injection: Literal["or", "and"] = Field(
        "or",
        description="whose vectors the second branch sees in a sequence: `or`, the user's alone (the item's is for "
        "L_align; DARec), or `and`, the user's and each item's own besides (MixRec)",
    )
    cf_model: Literal["ncf", "mf"] = Field("ncf", description="ncf (the paper's default) or mf with BPR")
    cf_training: Literal["joint", "frozen"] = Field(
        "joint", description="joint with the language model (the paper's default), or trained before and frozen"
    )
    collaborative_norm: bool = Field(
        False,
        description="inject e / |e|, through projections without a bias at the start: the bias is otherwise nearly all "
        "of what a layer sees, the same for all users and items (ours)",
    )
    cf_width: int = Field(
        64, ge=2, le=4096, multiple_of=2, description="width of each user and item embedding, even, >= 2"
    )
    cf_negatives: int = Field(4, ge=1, le=100, description="sampled negatives of each interaction in L_cf, >= 1")
    cf_epochs: Epochs = Field(20, description="frozen: passes over the interactions beforehand, >= 1")
    cf_learning_rate: Rate = Field(
        1e-2, description="frozen: Adam's learning rate beforehand, in (0, 1]; joint uses learning_rate"
    )

    @field_validator("layout")
    @classmethod
    def _layout_is_readable(cls, text: str) -> str:
        parse_layout(text, None)
        return text

    @model_validator(mode="after")
    def _layout_fits(self) -> Self:
        """Check what can be checked before the backbone is on this machine; `build` checks the rest."""
        check_at_most(self, "replace_every", "num_layers")
        if self.num_layers is not None:
            parse_layout(self.layout, dalayers(self.num_layers, self.replace_every))
        return self

    @model_validator(mode="after")
    def _a_head_has_what_it_needs(self) -> Self:
        if self.head == "collaborative" and not self.composition.collaborative:
            raise ValueError(
                f"head must be free or low-rank in a variant without a CF model, got head={self.head}, "
                f"variant={self.variant}; choose another head"
            )
        return self

    @property
    def composition(self) -> Composition:
        """What the variant is made of."""
        return self.VARIANTS[self.variant]

    @property
    def adapted_layers(self) -> int:
        """Number of DALayers, `floor(layers / r)`.

        Raises:
            InputError: If `num_layers` is not set and the backbone's depth is not known before fetching it.
        """
        if self.num_layers is not None:
            return dalayers(self.num_layers, self.replace_every)
        return dalayers(max(decoder_layers(self.backbone) - self.item_layers, 0), self.replace_every)


def dalayers(num_layers: int, replace_every: int) -> int:
    """Number of DALayers: layers r, 2r, 3r, ... counted from 1 (section 3, Frequency of Replacement)."""
    return num_layers // replace_every
