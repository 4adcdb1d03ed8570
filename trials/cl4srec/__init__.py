"""CL4SRec: SASRec that also tells two distorted copies of a sequence from other sequences. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials import papers
from trials.cl4srec.config import CL4SRecConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.cl4srec.model import CL4SRecModel
    from trials.data.preparing.dataset import SearchData

__all__ = ["CL4SRec", "CL4SRecConfig"]


class CL4SRec(RecommenderMethod):
    """Next items and, beside them, contrast of two views of each sequence: cropped, masked or reordered."""

    name = "cl4srec"
    summary = "SASRec with a contrast between cropped, masked and reordered copies of sequences: no text, from scratch"
    paper = (
        "Xu Xie, Fei Sun, Zhaoyang Liu, Shiwen Wu, Jinyang Gao, Jiandong Zhang, Bolin Ding, Bin Cui: Contrastive "
        "Learning for Sequential Recommendation, ICDE 2022"
    )
    Config = CL4SRecConfig
    published = papers.figures_of("CL4SRec")

    def build(self, config: CL4SRecConfig, data: SearchData, job: TrialJob) -> CL4SRecModel:
        """Make the model with random weights."""
        from trials.cl4srec.model import CL4SRecModel

        return CL4SRecModel(config, data)
