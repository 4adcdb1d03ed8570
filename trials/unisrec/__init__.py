"""UniSRec: items are what a text encoder makes of them, adapted by a mixture of whitenings. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.training import RecommenderMethod
from trials.unisrec.config import UniSRecConfig

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.unisrec.model import UniSRecModel

__all__ = ["UniSRec", "UniSRecConfig"]


class UniSRec(RecommenderMethod):
    """Next items from texts: contrastive pre-training, then fine-tuning by softmax, with or without item ids."""

    name = "unisrec"
    summary = "frozen text vectors through a mixture of whitenings into causal self-attention, pre-trained by contrast"
    paper = (
        "Yupeng Hou, Shanlei Mu, Wayne Xin Zhao, Yaliang Li, Bolin Ding, Ji-Rong Wen: Towards Universal Sequence "
        "Representation Learning for Recommender Systems, KDD 2022"
    )
    Config = UniSRecConfig
    published = papers.figures_of("UniSRec")
    reads_texts = True

    def prepare(self, config: UniSRecConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and encode the items' texts."""
        from trials.data import open_search
        from trials.unisrec.texts import item_vectors

        super().prepare(config, data, assets)
        item_vectors(config, open_search(data, assets), assets)

    def build(self, config: UniSRecConfig, data: SearchData, job: TrialJob) -> UniSRecModel:
        """Make the model with random weights over the items' text vectors."""
        from trials.unisrec.model import UniSRecModel
        from trials.unisrec.texts import item_vectors

        contrasts = config.pretrain_epochs > 0 and config.lambda_seq > 0  # reads texts of fewer words too
        key = ("unisrec-texts", config.text_encoder, config.word_drop, contrasts, data.fingerprint)
        return UniSRecModel(config, data, job.warm.get(key, lambda: item_vectors(config, data, job.assets)))
