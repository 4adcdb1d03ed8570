"""P5: the next item's number, written by an encoder-decoder that reads a prompt of numbers and words. Loads no torch.

Read `config.py`, then `prompts.py` (what is read and written) and `model.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.contract import TrialJob
from trials import papers
from trials.p5.config import P5Config
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.p5.model import P5Model

__all__ = ["P5", "P5Config"]


class P5(RecommenderMethod):
    """Sequential recommendation as text to text, all items ranked by how likely their numbers are written."""

    name = "p5"
    summary = "an encoder-decoder reads users and items as numbers in prompts, and writes the next item's number"
    paper = (
        "Shijie Geng, Shuchang Liu, Zuohui Fu, Yingqiang Ge, Yongfeng Zhang: Recommendation as Language Processing "
        "(RLP): A Unified Pretrain, Personalized Prompt & Predict Paradigm (P5), RecSys 2022"
    )
    Config = P5Config
    published = papers.figures_of("P5")

    def build(self, config: P5Config, data: SearchData, job: TrialJob) -> P5Model:
        """Make the model with random weights, and number the items.

        Raises:
            InputError: If no user has two training items.
        """
        from trials.p5.model import P5Model
        from trials.training.rows.windows import refuse_untrainable

        refuse_untrainable(data)
        return P5Model(config, data)

    def rebuild(self, config: P5Config, data: SearchData, job: TrialJob) -> P5Model:
        """Likewise, to answer: the items' numbers come with the weights."""
        from trials.p5.model import P5Model

        return P5Model(config, data)
