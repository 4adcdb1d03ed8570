"""FDSA: self-attention over items beside self-attention over what is known of them. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials import papers
from trials.fdsa.config import FDSAConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.fdsa.model import FDSAModel

__all__ = ["FDSA", "FDSAConfig"]


class FDSA(RecommenderMethod):
    """Predicts the next item from the latest items and, in a stream of its own, from their features."""

    name = "fdsa"
    summary = "two streams of causal self-attention, over item ids and over words of their attributes, from scratch"
    paper = (
        "Tingting Zhang, Pengpeng Zhao, Yanchi Liu, Victor S. Sheng, Jiajie Xu, Deqing Wang, Guanfeng Liu, Xiaofang "
        "Zhou: Feature-level Deeper Self-Attention Network for Sequential Recommendation, IJCAI 2019"
    )
    Config = FDSAConfig
    published = papers.figures_of("FDSA")
    reads_texts = True

    def prepare(self, config: FDSAConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, which must have the attributes.

        Raises:
            InputError: Also if it lacks one.
        """
        from trials.data import open_search

        super().prepare(config, data, assets)
        there = open_search(data, assets).attributes
        for name in config.attributes or ():
            if name not in there:
                raise InputError(
                    f"attributes: data {data.name} must have each, got {name}; it has {', '.join(there)}; name those, "
                    "or leave attributes out to read all"
                )

    def build(self, config: FDSAConfig, data: SearchData, job: TrialJob) -> FDSAModel:
        """Make the model with random weights."""
        from trials.fdsa.model import FDSAModel

        return FDSAModel(config, data)
