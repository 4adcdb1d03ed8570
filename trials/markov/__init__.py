"""Markov: which item follows which, counted. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials.markov.config import MarkovConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.markov.model import MarkovModel

__all__ = ["Markov", "MarkovConfig"]


class Markov(RecommenderMethod):
    """Ranks by how often an item came right after the last one: what every sequential method must beat."""

    name = "markov"
    summary = "first-order Markov chain: counts of which item follows which, backed off to popularity"
    paper = ""
    Config = MarkovConfig

    def build(self, config: MarkovConfig, data: SearchData, job: TrialJob) -> MarkovModel:
        """Count the transitions of the selected users."""
        from trials.markov.model import count

        return count(config, data)

    def rebuild(self, config: MarkovConfig, data: SearchData, job: TrialJob) -> MarkovModel:
        """The same without counts, for those that were counted to be loaded into it."""
        from trials.markov.model import blank

        return blank(config, data.num_items)
