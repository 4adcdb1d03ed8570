"""ItemKNN: neighbours among items by who has met them. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials.itemknn.config import ItemKNNConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.itemknn.model import ItemKNNModel

__all__ = ["ItemKNN", "ItemKNNConfig"]


class ItemKNN(RecommenderMethod):
    """Ranks items by their similarity to those of the history; reads no order and no text."""

    name = "itemknn"
    summary = "item-based nearest neighbours: cosine over users, shrunk, of the k nearest of each item"
    paper = (
        "Mukund Deshpande, George Karypis: Item-Based Top-N Recommendation Algorithms, ACM TOIS 2004; "
        "Badrul Sarwar, George Karypis, Joseph Konstan, John Riedl: Item-Based Collaborative Filtering "
        "Recommendation Algorithms, WWW 2001"
    )
    Config = ItemKNNConfig

    def build(self, config: ItemKNNConfig, data: SearchData, job: TrialJob) -> ItemKNNModel:
        """Find the neighbours by the training interactions of the selected users."""
        from trials.itemknn.model import find

        return find(config, data)

    def rebuild(self, config: ItemKNNConfig, data: SearchData, job: TrialJob) -> ItemKNNModel:
        """The same without neighbours, for those that were found to be loaded into it."""
        from trials.itemknn.model import blank

        return blank(config, data.num_items)
