"""RecFormer: histories and items as sentences of attribute keys and values, through one encoder. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.recformer.config import RecFormerConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.recformer.model import RecFormerModel

__all__ = ["RecFormer", "RecFormerConfig"]


class RecFormer(RecommenderMethod):
    """A language model reads what is known of a user's items, and finds the next one among all that it has read."""

    name = "recformer"
    summary = "a trained encoder over item sentences with token types and item places, fine-tuned in two stages"
    paper = (
        "Jiacheng Li, Ming Wang, Jin Li, Jinmiao Fu, Xin Shen, Jingbo Shang, Julian McAuley: Text Is All You Need: "
        "Learning Language Representations for Sequential Recommendation, KDD 2023"
    )
    Config = RecFormerConfig
    published = papers.figures_of("RecFormer")
    reads_texts = True

    def prepare(self, config: RecFormerConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and backbone, and check whether they can be used.

        Raises:
            InputError: If they cannot.
        """
        from trials.recformer.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: RecFormerConfig, data: SearchData, job: TrialJob) -> RecFormerModel:
        """Make the model around a copy of the process's backbone.

        Raises:
            InputError: If settings do not fit the backbone or the data.
        """
        from trials.recformer.build import build

        return build(config, data, job)

    def rebuild(self, config: RecFormerConfig, data: SearchData, job: TrialJob) -> RecFormerModel:
        """Likewise, to answer."""
        return self.build(answering(config, job), data, job)
