"""MF: matrix factorisation with BPR, the plainest collaborative filtering to compare with. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials.mf.config import MFConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.backbones.recommenders.collaborative import CollaborativeModel
    from trials.data.preparing.dataset import SearchData

__all__ = ["MF", "MFConfig"]


class MF(RecommenderMethod):
    """Ranks items by the inner product of a user's and an item's vector; reads no order and no text."""

    name = "mf"
    summary = "matrix factorisation with the BPR loss: user and item vectors, no order, no text"
    paper = (
        "Steffen Rendle, Christoph Freudenthaler, Zeno Gantner, Lars Schmidt-Thieme: BPR: Bayesian Personalized "
        "Ranking from Implicit Feedback, UAI 2009"
    )
    Config = MFConfig

    def build(self, config: MFConfig, data: SearchData, job: TrialJob) -> CollaborativeModel:
        """Make the model with random weights."""
        from trials.mf.model import make

        return make(config, data)

    def rebuild(self, config: MFConfig, data: SearchData, job: TrialJob) -> CollaborativeModel:
        """The same; what stands for users who were not in training comes with the weights."""
        from trials.mf.model import make

        return make(config, data, learnt=True)
