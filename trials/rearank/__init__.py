"""REARANK: a recommender by ids makes a list, a language model puts its top into another order. Loads no torch.

Read `config.py`, then `prompts.py` (what the language model reads and writes), `policy.py` (how it writes a list, and
how likely that was), `grpo.py` (what it is rewarded for, and how it learns from it) and `model.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.rearank.config import RearankConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.rearank.model import RearankModel

__all__ = ["Rearank", "RearankConfig"]


class Rearank(RecommenderMethod):
    """Two stages: a list by item ids, whose top a language model writes anew, after reasoning where it is let."""

    name = "rearank"
    summary = "SASRec or BERT4Rec makes a list, a language model tuned by GRPO reorders its top, listwise"
    paper = (
        "Le Zhang, Bo Wang, Xipeng Qiu, Siva Reddy, Aishwarya Agrawal: REARANK: Reasoning Re-ranking Agent via "
        "Reinforcement Learning, EMNLP 2025"
    )
    Config = RearankConfig
    published = papers.REARANK
    reads_texts = True
    prepared_by = ("backbone", "retriever")

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and backbone, train the retriever on this selection of users, read the items where asked for."""
        from trials.rearank.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> RearankModel:
        """Make the model around the process's frozen language model and retriever.

        Raises:
            InputError: If settings do not fit the backbone or the data.
        """
        from trials.rearank.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> RearankModel:
        """Likewise, without training a retriever, which is among the weights.

        With `item_layers` the items are read first, where this machine's cache has not got them.
        """
        from trials.rearank.build import build

        return build(answering(config, job), data, job, blank=True)
