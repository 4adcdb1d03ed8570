"""UniSRec's settings. Loads no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import TransformerSettings
from trials.training.settings.ranges import Share, Weight


class UniSRecConfig(TransformerSettings):
    """Sizes are SASRec's, so that both compare (the paper's code has a width of 300); the rest is that code's.

    But for pre-training's augmentation: a window leaves out items or words with equal chances (the code: items in nine
    batches of ten), words of all its items (the code: of a fifth); and in eq. 8 windows with the same next item count
    as others, which the code leaves out.
    """

    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="frozen encoder of item sentences, mean-pooled: asset name, hub name (the paper, by [CLS]: "
        "google-bert/bert-base-uncased), local folder, or random-bert (tiny, for tests)",
    )
    experts: int = Field(8, ge=1, le=256, description="G: whitenings that are mixed, >= 1")
    adaptor_dropout: Share = Field(0.2, description="dropout of text vectors before a whitening, in [0, 1)")
    item_ids: bool = Field(
        True, description="whether an item's vector has a part of its own in fine-tuning (transductive), or text alone"
    )
    pretrain_epochs: int = Field(
        0,
        ge=0,
        le=10_000,
        description="first epochs that train by contrast among a batch's items, on texts alone, >= 0, < epochs. The "
        "paper pre-trains on other domains; here it is the data itself",
    )
    freeze_encoder: bool = Field(
        False,
        description="after pre-training, train only the adaptor and the items' own parts (the paper, section 2.3), "
        "rather than all",
    )
    lambda_seq: Weight = Field(1e-3, description="λ of the contrast between sequences in pre-training, >= 0")
    item_drop: Share = Field(0.2, description="share of a sequence's items that its augmentation leaves out, in [0, 1)")
    word_drop: Share = Field(
        0.15, description="share of the words that items of an augmentation by words leave out, in [0, 1)"
    )
    temperature: float = Field(0.07, gt=0, le=100, description="τ by which cosines are divided, > 0")

    @model_validator(mode="after")
    def _fine_tuning_is_left(self) -> Self:
        if self.pretrain_epochs and self.pretrain_epochs >= self.epochs:
            raise ValueError(
                f"pretrain_epochs must be below epochs, got pretrain_epochs={self.pretrain_epochs}, "
                f"epochs={self.epochs}; what is pre-trained is then fine-tuned"
            )
        if self.freeze_encoder and not self.pretrain_epochs:
            raise ValueError(
                "freeze_encoder needs pretrain_epochs >= 1, got 0; an encoder without training says nothing"
            )
        return self
