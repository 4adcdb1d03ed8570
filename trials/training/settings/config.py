"""The settings of the one training loop; every method's `Config` starts from them. Loads no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from searchplat.contract import SAMPLED
from searchplat.contract.measures import check, of_targets
from trials.training.settings.ranges import BatchSize, Epochs, Rate

Schedule = Annotated[
    Literal["cosine", "constant", "linear"],
    Field(description="learning rate after warm-up: cosine or linear to 0 at the last step, or constant"),
]
Warmup = Annotated[
    float,
    Field(ge=0, lt=1, description="share of all steps over which the learning rate rises from 0, in [0, 1)"),
]
Metrics = Annotated[
    tuple[str, ...],
    Field(min_length=1, description="metrics on validation: mrr, mrr@k, recall@k, ndcg@k and others"),
]


class LoopConfig(BaseModel):
    """How long and how fast to train, and what to measure. A method's own fields come on top."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Epochs = Field(10, description="passes over the training data, >= 1")
    learning_rate: Rate = Field(1e-3, description="peak learning rate of AdamW, in (0, 1]")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]")
    schedule: Schedule = "cosine"
    warmup_fraction: Warmup = 0.06
    gradient_clip: float | None = Field(
        None, gt=0, description="largest global norm of the gradient, > 0; null switches clipping off"
    )
    eval_batch_size: BatchSize = Field(256, description="queries scored at once in evaluation, >= 1")
    metrics: Metrics = Field(
        ("mrr", "recall@10", "ndcg@10"),
        description="metrics on validation, after every epoch: mrr, mrr@k, recall@k, ndcg@k, map@k, precision@k; of "
        "lists of k items coverage@k, gini@k, novelty@k, diversity@k, popularity@k, popularity_lift@k; cold/mrr, ...: "
        "over the users whose target is one of the 35 % of all items with the fewest training interactions, and other "
        "groups; docs/measures.md",
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

    def measured(self) -> list[str]:
        """Names of all that is measured on validation; there are no figures of a group in which nobody is."""
        sampled = [f"{SAMPLED}{name}" for name in self.metrics if self.sampled_negatives and of_targets(name)]
        return [*self.metrics, *sampled]

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            check(name)
        return names


class AdamConfig(LoopConfig):
    """Adam at one rate throughout, as RecBole has it and some of the papers."""

    weight_decay: float = Field(0.0, ge=0, le=1, description="decoupled weight decay of AdamW, in [0, 1]; 0 is Adam")
    schedule: Schedule = "constant"
    warmup_fraction: Warmup = 0.0
