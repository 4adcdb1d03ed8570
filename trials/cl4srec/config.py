"""CL4SRec's settings. Loads no torch."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from trials.backbones.recommenders.settings import TransformerSettings

Augmentation = Literal["crop", "mask", "reorder"]


class CL4SRecConfig(TransformerSettings):
    """SASRec's sizes as RecBole has them, and what is distorted by how much."""

    augmentations: tuple[Augmentation, ...] = Field(
        get_args(Augmentation),
        min_length=1,
        description="operators of which each view has one, drawn anew for every sequence: crop, mask, reorder",
    )
    crop_ratio: float = Field(0.6, gt=0, le=1, description="η: share of a sequence that a crop keeps, in (0, 1]")
    mask_ratio: float = Field(0.3, ge=0, le=1, description="γ: share of a sequence that is masked, in [0, 1]")
    reorder_ratio: float = Field(0.6, ge=0, le=1, description="β: share of a sequence that is shuffled, in [0, 1]")
    lambda_cl: float = Field(0.1, ge=0, le=100, description="λ: weight of the contrast, >= 0; 0 is SASRec")
    temperature: float = Field(
        1.0, gt=0, le=100, description="τ by which similarities are divided, > 0; the paper has none, which is 1"
    )
    similarity: Literal["dot", "cosine"] = Field(
        "dot", description="of two views: dot, the paper's inner product, or cosine (ours)"
    )
