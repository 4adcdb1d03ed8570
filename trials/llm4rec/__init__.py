"""LLM4Rec: users and items as tokens of a language model, learnt from interactions and texts alike. Loads no torch.

Read `config.py`, then `documents.py` (what the language model reads) and `model.py` (what is learnt from it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials.llm4rec.config import LLM4RecConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.llm4rec.model import LLM4RecModel

__all__ = ["LLM4Rec", "LLM4RecConfig"]


class LLM4Rec(RecommenderMethod):
    """A frozen language model whose vocabulary has a token for every user and item, of which there are two tables.

    No figures of the papers are beside ours: what Laser calls LLM4REC is Wang et al., LLM-Enhanced User-Item
    Interactions (2024), who put the edges of the graph of users and items into prompts and attention. Of that,
    `edge_attention` is here, in a form of ours.
    """

    name = "llm4rec"
    summary = "user and item tokens in a frozen language model, learnt from interactions and texts that hold each other"
    paper = (
        "Yaochen Zhu, Liang Wu, Qi Guo, Liangjie Hong, Jundong Li: Collaborative Large Language Model for Recommender "
        "Systems, WWW 2024"
    )
    Config = LLM4RecConfig
    reads_texts = True

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and backbone, and check whether they can be used.

        Raises:
            InputError: If they cannot.
        """
        from trials.llm4rec.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> LLM4RecModel:
        """Make the model around the process's frozen language model.

        Raises:
            InputError: If settings do not fit the backbone, or no user has two training items.
        """
        from trials.llm4rec.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> LLM4RecModel:
        """Likewise, to answer: both tables come with the weights."""
        from trials.llm4rec.build import build

        return build(answering(config, job), data, job, blank=True)
