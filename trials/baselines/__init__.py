"""Methods to compare with that learn nothing. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import TrialJob
from trials.counted.config import CountedConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.baselines.popularity import PopularityModel
    from trials.data.preparing.dataset import SearchData

__all__ = ["Popularity", "PopularityConfig"]


class PopularityConfig(CountedConfig):
    """Popularity has nothing to set."""


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
