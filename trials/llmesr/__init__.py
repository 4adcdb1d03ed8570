"""LLM-ESR: every item seen by its text and by its id, every user taught by users like them. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.llmesr.config import LLMESRConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.llmesr.model import LLMESRModel

__all__ = ["LLMESR", "LLMESRConfig"]


class LLMESR(RecommenderMethod):
    """Next items from a semantic and a collaborative view, with self-distillation from retrieved users."""

    name = "llmesr"
    summary = "text and id views of items that look at each other, in one sequence encoder; taught by similar users"
    paper = (
        "Qidong Liu, Xian Wu, Yejing Wang, Zijian Zhang, Feng Tian, Yefeng Zheng, Xiangyu Zhao: LLM-ESR: Large "
        "Language Models Enhancement for Long-tailed Sequential Recommendation, NeurIPS 2024"
    )
    Config = LLMESRConfig
    published = papers.figures_of("LLM-ESR")
    reads_texts = True

    def prepare(self, config: LLMESRConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and encode the items' texts."""
        from trials.backbones.encoders.text_encoder import text_embeddings
        from trials.data import open_search

        super().prepare(config, data, assets)
        text_embeddings(config.text_encoder, open_search(data, assets).sentences, assets)

    def build(self, config: LLMESRConfig, data: SearchData, job: TrialJob) -> LLMESRModel:
        """Make the model over the items' text vectors, and find the users that are like each user."""
        return self._build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> LLMESRModel:
        """Likewise, without similar users, who teach and do not answer."""
        return self._build(config.model_copy(update={"lambda_distill": 0.0}), data, job)

    def _build(self, config: LLMESRConfig, data: SearchData, job: TrialJob) -> LLMESRModel:
        from trials.backbones.encoders.text_encoder import item_texts
        from trials.llmesr.model import LLMESRModel

        return LLMESRModel(config, data, item_texts(config.text_encoder, data, job))
