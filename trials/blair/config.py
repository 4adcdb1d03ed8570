"""BLaIR's settings. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import TransformerSettings
from trials.training.settings.ranges import Rate, Share, Temperature, TextBatchSize


class BLaIRConfig(TransformerSettings):
    """The recommender is UniSRec in SASRec's sizes, so that they compare; the contrast's numbers are the paper's."""

    # The encoder, tuned once for a data set and these settings, then frozen
    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="encoder of texts before it is tuned, mean-pooled: asset name, hub name (the paper, by [CLS]: "
        "FacebookAI/roberta-base), local folder, or random-bert (tiny, for tests)",
    )
    tuned: Literal["head", "last", "all"] = Field(
        "head",
        description="what of it is tuned: head (a linear layer behind it, from the identity: what CPUs can do; ours), "
        "last (its last layer), all (the paper)",
    )
    context: Literal["auto", "requests", "items"] = Field(
        "auto",
        description="what is said of an item: requests (the data set's own, or reviews where these make its requests), "
        "items (the text of what the user met just before), auto (requests where there are any)",
    )
    tune_epochs: int = Field(
        3, ge=0, le=1000, description="passes over the pairs of words and items, >= 0; 0 leaves the encoder as it is"
    )
    tune_batch_size: TextBatchSize = Field(
        384, description="pairs a step, which are each other's negatives, >= 1; the paper: 384"
    )
    tune_learning_rate: Rate = Field(
        1e-3, description="of AdamW, in (0, 1]; the paper, whose encoder is tuned as a whole: 5e-5"
    )
    tune_temperature: Temperature = Field(0.05, description="τ of the contrast, > 0; the paper: 0.05")
    tune_seed: int = Field(0, ge=0, lt=2**32, description="seeds the order of the pairs; the same for all trials")
    max_tokens: int = Field(
        64,
        ge=2,
        le=512,
        description="tokens read of a text, >= 2: the first, and the latest of the rest; the paper: 64",
    )

    # The recommender
    experts: int = Field(8, ge=1, le=256, description="G: whitenings that UniSRec mixes, >= 1")
    adaptor_dropout: Share = Field(0.2, description="dropout of text vectors before a whitening, in [0, 1)")
    temperature: float = Field(0.07, gt=0, le=100, description="τ by which cosines are divided, > 0")
    item_ids: bool = Field(
        False, description="whether an item's vector has a part of its own, or text alone (the paper)"
    )
    request_weight: Share = Field(
        0.0,
        description="γ, with which the cosine of request and item counts in answers beside the recommender's, in "
        "[0, 1) (CRAMER's paper, B.7); 0 reads no requests in answering",
    )
    request_items: int = Field(
        3, ge=1, le=100, description="latest items that ask where nobody does, >= 1; CRAMER's paper: 3"
    )
