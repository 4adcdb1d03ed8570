"""ItemKNN's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.counted.config import CountedConfig


class ItemKNNConfig(CountedConfig):
    """Who is a neighbour, and how much each counts."""

    neighbours: int = Field(100, ge=1, le=100_000, description="nearest items kept of every item (k), >= 1")
    shrinkage: float = Field(
        10.0, ge=0, le=1e6, description="added to the cosine's denominator, so that few common users count for less"
    )
    normalise: bool = Field(
        False, description="whether the similarities of an item's neighbours are divided by their sum"
    )
