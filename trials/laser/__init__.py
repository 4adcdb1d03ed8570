"""Laser: a frozen language model with a learned prefix and suffix; users and items in one space, compared by cosine.

Read in this order: `config.py` (every setting), `instructions.py` (the template), `mformer.py` (collaborative
embeddings to the prefix), `losses.py`, `model.py` (users, items, the two phases), `memory.py` (what the phases keep).
`transfer.py` is a command. Importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.laser.config import LaserConfig
from trials.training.method import RecommenderMethod, answering

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.training.recommender import Recommender

__all__ = ["Laser", "LaserConfig"]


class Laser(RecommenderMethod):
    """Bi-Tuning: a prefix made of collaborative embeddings by experts, a suffix whose output is the embedding."""

    name = "laser"
    summary = "frozen language model with a collaborative prefix and a suffix that embeds users and items"
    paper = (
        "Anonymous: Bi-Tuning with Collaborative Information for Controllable LLM-based Sequential Recommendation, "
        "ACL submission"
    )
    Config = LaserConfig
    reads_texts = True
    prepared_by = ("backbone", "id_recommender")
    published = papers.LASER

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and backbone; train the ID-based recommender on this selection of users."""
        from trials.laser.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model around the process's frozen backbone and recommender.

        Raises:
            InputError: If settings do not fit the backbone or the data.
        """
        from trials.laser.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Likewise, without training a recommender: the weights hold it, and the items' embeddings as well.

        With `item_layers` the items are read first, where this machine's cache has not got them: packages hold no
        states.
        """
        from trials.laser.build import build

        return build(answering(config, job), data, job, blank=True)
