"""KAR: what is known of users and items in words, made into features of a recommender. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.kar.config import KARConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.kar.model import KARModel

__all__ = ["KAR", "KARConfig"]


class KAR(RecommenderMethod):
    """Next items by SASRec whose users and items have vectors of their texts besides, condensed by shared experts."""

    name = "kar"
    summary = "text vectors of users and items through a hybrid-expert adaptor, as further features of SASRec"
    paper = (
        "Yunjia Xi, Weiwen Liu, Jianghao Lin, Xiaoling Cai, Hong Zhu, Jieming Zhu, Bo Chen, Ruiming Tang, Weinan "
        "Zhang, Yong Yu: Towards Open-World Recommendation with Knowledge Augmentation from Large Language Models, "
        "RecSys 2024"
    )
    Config = KARConfig
    published = papers.figures_of("KAR")
    reads_texts = True

    def prepare(self, config: KARConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and encode the items' texts."""
        from trials.backbones.encoders.text_encoder import text_embeddings
        from trials.data import open_search

        super().prepare(config, data, assets)
        text_embeddings(config.text_encoder, open_search(data, assets).sentences, assets)

    def build(self, config: KARConfig, data: SearchData, job: TrialJob) -> KARModel:
        """Make the model with random weights over the items' text vectors."""
        from trials.backbones.encoders.text_encoder import item_texts
        from trials.kar.model import KARModel

        return KARModel(config, data, item_texts(config.text_encoder, data, job))
