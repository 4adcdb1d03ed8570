"""RecGURU: what an autoencoder says of a user, freed of its origin by an adversary, beside each place of a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials import papers
from trials.recguru.config import RecGURUConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.recguru.model import RecGURUModel

__all__ = ["RecGURU", "RecGURUConfig"]


class RecGURU(RecommenderMethod):
    """Predicts the next item from the latest items and from a generalized user representation, in one domain."""

    name = "recguru"
    summary = "a self-attentive autoencoder's user vectors, made alike by a discriminator, read by a causal decoder"
    paper = (
        "Chenglin Li, Mingjun Zhao, Huanming Zhang, Chenyun Yu, Lei Cheng, Guoqiang Shu, Beibei Kong, Di Niu: RecGURU: "
        "Adversarial Learning of Generalized User Representations for Cross-Domain Recommendation, WSDM 2022"
    )
    Config = RecGURUConfig
    published = papers.figures_of("RecGURU")

    def build(self, config: RecGURUConfig, data: SearchData, job: TrialJob) -> RecGURUModel:
        """Make the model with random weights."""
        from trials.recguru.model import RecGURUModel

        return RecGURUModel(config, data)
