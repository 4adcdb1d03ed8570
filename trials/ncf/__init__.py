"""NCF: neural collaborative filtering (NeuMF). Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials.ncf.config import NCFConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.backbones.recommenders.collaborative import CollaborativeModel
    from trials.data.preparing.dataset import SearchData

__all__ = ["NCF", "NCFConfig"]


class NCF(RecommenderMethod):
    """Ranks items by a product and an MLP of a user's and an item's vectors, fused; reads no order and no text."""

    name = "ncf"
    summary = "neural collaborative filtering (NeuMF): a product and an MLP of user and item vectors, no order, no text"
    paper = (
        "Xiangnan He, Lizi Liao, Hanwang Zhang, Liqiang Nie, Xia Hu, Tat-Seng Chua: Neural Collaborative Filtering, "
        "WWW 2017"
    )
    Config = NCFConfig

    def build(self, config: NCFConfig, data: SearchData, job: TrialJob) -> CollaborativeModel:
        """Make the model with random weights."""
        from trials.ncf.model import make

        return make(config, data)

    def rebuild(self, config: NCFConfig, data: SearchData, job: TrialJob) -> CollaborativeModel:
        """The same; what stands for users who were not in training comes with the weights."""
        from trials.ncf.model import make

        return make(config, data, learnt=True)
