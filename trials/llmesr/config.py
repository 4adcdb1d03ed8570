"""LLM-ESR's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.names import Encoder
from trials.backbones.recommenders.settings import TransformerSettings
from trials.training.settings.ranges import Weight


class LLMESRConfig(TransformerSettings):
    """SASRec's sizes for each of the two views; the rest as in the authors' code."""

    text_encoder: Encoder = Field(
        "minilm-l6-v2",
        min_length=1,
        description="frozen encoder of item sentences, mean-pooled: asset name, hub name, local folder, or random-bert "
        "(tiny, for tests); the paper's vectors are OpenAI's text-embedding-ada-002",
    )
    cross_attention: bool = Field(True, description="whether the two views of a sequence look at each other")
    lambda_distill: Weight = Field(0.1, description="α: weight of the distance to similar users' states, >= 0")
    similar_users: int = Field(10, ge=1, le=1000, description="N: users who teach a user, >= 1")
