"""BLaIR: a text encoder that learnt which words speak of which items, and a recommender over its vectors of items.

Read `config.py`, then `pairs.py` and `tuning.py` (the encoder), and `model.py` (the recommender). Loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.blair.config import BLaIRConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.blair.model import BLaIRModel
    from trials.data.preparing.dataset import SearchData

__all__ = ["BLaIR", "BLaIRConfig"]


class BLaIR(RecommenderMethod):
    """Contrast between what users say and what items are, then UniSRec over the items' vectors."""

    name = "blair"
    summary = "a text encoder tuned by contrast of what users say and what items are, under adapted self-attention"
    paper = (
        "Yupeng Hou, Jiacheng Li, Zhankui He, An Yan, Xiusi Chen, Julian McAuley: Bridging Language and Items for "
        "Retrieval and Recommendation, 2024"
    )
    Config = BLaIRConfig
    published = papers.figures_of("BLaIR")
    reads_texts = True
    prepared_by = ("text_encoder", "tuned", "context", "tune_epochs", "tune_learning_rate", "tune_temperature")

    def prepare(self, config: BLaIRConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and tune the encoder on this selection of users."""
        from trials.blair.build import prepare
        from trials.data import open_search

        super().prepare(config, data, assets)
        prepare(config, open_search(data, assets), assets)

    def build(self, config: BLaIRConfig, data: SearchData, job: TrialJob) -> BLaIRModel:
        """Make the model with random weights over the tuned encoder's vectors of items.

        Raises:
            InputError: If the data set's own requests are wanted, and it has none.
        """
        from trials.blair.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> BLaIRModel:
        """Likewise, with an encoder that is not tuned: what was tuned is among the weights."""
        from trials.blair.build import rebuild

        return rebuild(config, data, job)
