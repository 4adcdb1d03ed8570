"""GRU4Rec: a recurrent network over item ids. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials import papers
from trials.gru4rec.config import GRU4RecConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.gru4rec.model import GRU4RecModel

__all__ = ["GRU4Rec", "GRU4RecConfig"]


class GRU4Rec(RecommenderMethod):
    """Predicts the next item from the latest ones by a GRU over item vectors."""

    name = "gru4rec"
    summary = "recurrent network over item ids with full softmax: no text, trained from scratch"
    paper = (
        "Yong Kiam Tan, Xinxing Xu, Yong Liu: Improved Recurrent Neural Networks for Session-based Recommendations, "
        "DLRS 2016"
    )
    Config = GRU4RecConfig
    published = papers.figures_of("GRU4Rec")

    def build(self, config: GRU4RecConfig, data: SearchData, job: TrialJob) -> GRU4RecModel:
        """Make the model with random weights."""
        from trials.gru4rec.model import GRU4RecModel

        return GRU4RecModel(config, data)
