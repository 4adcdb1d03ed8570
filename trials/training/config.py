"""The settings of the one training loop; every method's `Config` starts from them. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from trials.training.metrics import parse


class LoopConfig(BaseModel):
    """How long and how fast to train, and what to measure. A method's own fields come on top."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(10, ge=1, le=10_000, description="passes over the training data, >= 1")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW, in (0, 1]")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]")
    schedule: Literal["cosine", "constant", "linear"] = Field(
        "cosine", description="learning rate after warm-up: cosine or linear to 0 at the last step, or constant"
    )
    warmup_fraction: float = Field(
        0.06, ge=0, lt=1, description="share of all steps over which the learning rate rises from 0, in [0, 1)"
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="largest global norm of the gradient, > 0; null switches clipping off"
    )
    eval_batch_size: int = Field(256, ge=1, le=65_536, description="queries scored at once in evaluation, >= 1")
    metrics: tuple[str, ...] = Field(
        ("mrr", "recall@10", "ndcg@10"),
        min_length=1,
        description="ranking metrics on validation: mrr, mrr@k, recall@k, ndcg@k",
    )
    sampled_negatives: int = Field(
        0,
        ge=0,
        le=10_000,
        description="items that the user never met, drawn once, against which targets are ranked besides (metrics "
        "sampled/...), >= 0; 0 ranks among all items only",
    )
    sampled_by: Literal["uniform", "popularity"] = Field(
        "uniform", description="how they are drawn: uniform, or popularity (by training interactions)"
    )
    sampled_seed: int = Field(0, ge=0, lt=2**32, description="seeds their drawing, in [0, 2^32 - 1]")

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            parse(name)
        return names
