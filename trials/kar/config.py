"""KAR's settings. Loads no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import TransformerSettings
from trials.training.settings.ranges import Share, Width


class KARConfig(TransformerSettings):
    """SASRec's sizes for what is augmented; the adaptor's are those of the authors' code, as others quote it."""

    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="frozen encoder of item sentences, mean-pooled: asset name, hub name (the paper: "
        "google-bert/bert-base-uncased), local folder, or random-bert (tiny, for tests)",
    )
    user_knowledge: bool = Field(True, description="whether a user's state has the preference vector besides")
    item_knowledge: bool = Field(True, description="whether an item's vector has the factual vector besides")
    shared_experts: int = Field(2, ge=0, le=64, description="experts of both kinds of knowledge, >= 0")
    own_experts: int = Field(5, ge=0, le=64, description="further experts of each kind, >= 0")
    expert_width: Width = Field(128, description="width of an expert's inner layer, >= 1")
    knowledge_width: Width = Field(32, description="width of an augmented vector, >= 1")
    adaptor_dropout: Share = Field(0.0, description="dropout behind each layer of an expert, in [0, 1)")

    @model_validator(mode="after")
    def _there_are_experts(self) -> Self:
        if not self.shared_experts + self.own_experts:
            raise ValueError("shared_experts and own_experts must not both be 0; raise one of them")
        if not (self.user_knowledge or self.item_knowledge):
            raise ValueError(
                "user_knowledge or item_knowledge must be true, got false for both, which is SASRec; set one of them"
            )
        return self
