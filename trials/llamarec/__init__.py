"""LlamaRec: a recommender by ids retrieves, a language model ranks what it retrieved by letters. Loads no torch.

Read `config.py`, then `prompts.py` (what the language model reads), `examples.py` (what the ranking is learnt from) and
`model.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.llamarec.config import LlamaRecConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.llamarec.model import LlamaRecModel

__all__ = ["LlamaRec", "LlamaRecConfig"]


class LlamaRec(RecommenderMethod):
    """Two stages: candidates by item ids, their order by a language model that names one of them by its letter."""

    name = "llamarec"
    summary = "SASRec retrieves candidates, a language model tuned by LoRA ranks them by the logits of their letters"
    paper = (
        "Zhenrui Yue, Sara Rabhi, Gabriel de Souza Pereira Moreira, Dong Wang, Even Oldridge: LlamaRec: Two-Stage "
        "Recommendation using Large Language Models for Ranking, PGAI at CIKM 2023"
    )
    Config = LlamaRecConfig
    published = papers.figures_of("LlamaRec")
    reads_texts = True
    prepared_by = ("backbone",)

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and backbone, train the retriever on this selection of users, read the items where asked for."""
        from trials.llamarec.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> LlamaRecModel:
        """Make the model around the process's frozen language model and retriever.

        Raises:
            InputError: If settings do not fit the backbone or the data.
        """
        from trials.llamarec.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> LlamaRecModel:
        """Likewise, without training a retriever, which is among the weights.

        With `item_layers` the items are read first, where this machine's cache has not got them: packages hold no
        states.
        """
        from trials.llamarec.build import build

        return build(answering(config, job), data, job, blank=True)
