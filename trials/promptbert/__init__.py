"""Prompt-BERT: histories told as sentences to a masked language model, with a multi-interest head at [MASK].

Read in this order: `config.py` (every setting), `prompts.py` (pieces of prompts), `windows.py` (training windows),
`experts.py`, `contrast.py`, `interests.py` (the paper's modules), `parts.py` and `model.py` (losses and scores). With
`statement_layers`, `statements.py`, `segments.py`, `head.py` and `shared.py` take the place of prompts, windows and
model. Importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.promptbert.config import PromptBERTConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.training.recommender import Recommender

__all__ = ["PromptBERT", "PromptBERTConfig"]


class PromptBERT(RecommenderMethod):
    """A masked language model reads what a user did and fills in the next title; experts and two branches help it."""

    name = "promptbert"
    summary = "masked language model over prompts of titles, genres and ratings, with a multi-interest head"
    reads_texts = True
    paper = (
        "Multi-Interest Sequential Recommendation Based on Prompt-Oriented BERT, International Journal of Networking "
        "and Computing"
    )
    Config = PromptBERTConfig
    published = papers.PROMPTBERT

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and backbone, and check whether they can be used."""
        from trials.promptbert.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model around a copy of the process's backbone.

        Raises:
            InputError: If lengths, heads or layers do not fit the backbone.
        """
        from trials.promptbert.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Likewise, with nothing fitted to the sequences."""
        from trials.promptbert.build import build

        return build(answering(config, job), data, job, blank=True)
