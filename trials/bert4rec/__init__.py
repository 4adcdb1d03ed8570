"""BERT4Rec: bidirectional self-attention over item ids, trained to fill in hidden items. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials import papers
from trials.bert4rec.config import BERT4RecConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.bert4rec.model import BERT4RecModel
    from trials.data.preparing.dataset import SearchData

__all__ = ["BERT4Rec", "BERT4RecConfig"]


class BERT4Rec(RecommenderMethod):
    """Predicts hidden items from both sides; the next item is one that is hidden at the end."""

    name = "bert4rec"
    summary = "bidirectional self-attention over item ids, trained to fill in hidden items: no text, from scratch"
    paper = (
        "Fei Sun, Jun Liu, Jian Wu, Changhua Pei, Xiao Lin, Wenwu Ou, Peng Jiang: BERT4Rec: Sequential Recommendation "
        "with Bidirectional Encoder Representations from Transformer, CIKM 2019"
    )
    Config = BERT4RecConfig
    published = papers.figures_of("BERT4Rec")

    def build(self, config: BERT4RecConfig, data: SearchData, job: TrialJob) -> BERT4RecModel:
        """Make the model with random weights."""
        from trials.bert4rec.model import BERT4RecModel

        return BERT4RecModel(config, data)
