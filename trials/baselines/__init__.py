"""Methods to compare with that learn nothing. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from searchplat.contract import TrialJob
from trials.training import LoopConfig, RecommenderMethod

if TYPE_CHECKING:
    from trials.baselines.popularity import PopularityModel
    from trials.data.dataset import SearchData

__all__ = ["Popularity", "PopularityConfig"]


class PopularityConfig(LoopConfig):
    """Popularity has nothing to set; what training it has is counting."""

    epochs: Literal[1] = Field(1, description="passes over the training data; counting takes one")


class Popularity(RecommenderMethod):
    """Every user gets the items with the most training interactions: what any method must beat."""

    name = "popularity"
    summary = "Ranks items by their number of training interactions; the floor under every table"
    paper = ""
    Config = PopularityConfig

    def build(self, config: Any, data: SearchData, job: TrialJob) -> PopularityModel:
        """Count the training interactions of the selected users."""
        from trials.baselines.popularity import PopularityModel

        return PopularityModel(data.popularity_N())
