"""EASE: the linear autoencoder in closed form. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials.ease.config import EASEConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.ease.model import EASEModel

__all__ = ["EASE", "EASEConfig"]


class EASE(RecommenderMethod):
    """Ranks items by a linear model of which items are met together; reads no order and no text."""

    name = "ease"
    summary = "EASE^R: item-to-item weights of a linear autoencoder, solved in closed form"
    paper = "Harald Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019"
    Config = EASEConfig

    def build(self, config: EASEConfig, data: SearchData, job: TrialJob) -> EASEModel:
        """Solve for the training interactions of the selected users."""
        from trials.ease.model import solve

        return solve(config, data, job.device)

    def rebuild(self, config: EASEConfig, data: SearchData, job: TrialJob) -> EASEModel:
        """The same without weights, for those that were solved for to be loaded into it."""
        from trials.ease.model import blank

        return blank(data.num_items)
