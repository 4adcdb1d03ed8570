"""ZESRec: items and users from their texts, and what each item has of its own. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.training import RecommenderMethod
from trials.zesrec.config import ZESRecConfig

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.zesrec.model import ZESRecModel

__all__ = ["ZESRec", "ZESRecConfig"]


class ZESRec(RecommenderMethod):
    """Next items by a hierarchical model: an item's vector is its text's, plus a deviation with a prior around zero."""

    name = "zesrec"
    summary = "frozen text vectors through one layer into a GRU; items deviate from their texts under a Gaussian prior"
    paper = "Hao Ding, Yifei Ma, Anoop Deoras, Yuyang Wang, Hao Wang: Zero-Shot Recommender Systems, 2021"
    Config = ZESRecConfig
    published = papers.figures_of("ZESRec")
    reads_texts = True

    def prepare(self, config: ZESRecConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and encode the items' texts."""
        from trials.backbones.encoders.text_encoder import text_embeddings
        from trials.data import open_search

        super().prepare(config, data, assets)
        text_embeddings(config.text_encoder, open_search(data, assets).sentences, assets)

    def build(self, config: ZESRecConfig, data: SearchData, job: TrialJob) -> ZESRecModel:
        """Make the model with random weights over the items' text vectors."""
        from trials.backbones.encoders.text_encoder import item_texts
        from trials.zesrec.model import ZESRecModel

        return ZESRecModel(config, data, item_texts(config.text_encoder, data, job))
