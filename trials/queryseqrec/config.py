"""Query-SeqRec's settings. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import TransformerSettings
from trials.training.settings.ranges import Weight


class QuerySeqRecConfig(TransformerSettings):
    """Sizes are SASRec's, the backbone that CRAMER's paper gives it; requests are read as there."""

    fusion: Literal["sequence", "concatenation"] = Field(
        "sequence",
        description="where a request goes: sequence (Query-SeqRec: a place of its own, whose state predicts), "
        "concatenation (CRAMER's paper, B.7: beside the state of the history, a linear layer over both)",
    )
    lambda_request: Weight = Field(
        0.1, description="λ of the item's cross-entropy from the request alone, which items answer which, >= 0"
    )
    request: Literal["auto", "history", "data"] = Field(
        "auto",
        description="what users ask: data (the data set's own requests), history (the texts of the latest items), auto "
        "(data where there are any)",
    )
    request_items: int = Field(
        3, ge=1, le=100, description="latest items whose texts make a request of a history, >= 1; CRAMER's paper: 3"
    )
    max_request_tokens: int = Field(
        512, ge=2, le=512, description="tokens read of a request, >= 2: the first, and the latest of the rest"
    )
    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="frozen encoder of requests and item sentences, mean-pooled: asset name, hub name (CRAMER's paper: "
        "google-bert/bert-base-uncased), local folder, or random-bert (tiny, for tests)",
    )
