"""SASRec: self-attention over item ids, the baseline that every paper here compares with. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials import papers
from trials.sasrec.config import SASRecConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.sasrec.model import SASRecModel

__all__ = ["SASRec", "SASRecConfig"]


class SASRec(RecommenderMethod):
    """Predicts the next item from the latest ones by causal self-attention over item vectors."""

    name = "sasrec"
    summary = "causal self-attention over item ids with full softmax: no text, trained from scratch"
    paper = "Wang-Cheng Kang, Julian McAuley: Self-Attentive Sequential Recommendation, ICDM 2018"
    Config = SASRecConfig
    published = papers.figures_of("SASRec")

    def build(self, config: SASRecConfig, data: SearchData, job: TrialJob) -> SASRecModel:
        """Make the model with random weights."""
        from trials.sasrec.model import SASRecModel

        return SASRecModel(config, data)
