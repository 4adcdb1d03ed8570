"""CRAMER: a natural-language request masks the rows and columns of a frozen sequential recommender's matrices.

Read in this order: `config.py` (every setting), `requests.py` (what is asked), `request_encoder.py` of
`trials.backbones.encoders` (requests as vectors), `gates.py` and `layout.py` (vectors to masks), `model.py` (loss and
scores). `genre_share.py` is a check of what requests do. Importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.cramer.config import CRAMERConfig
from trials.training.method import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.training.recommender import Recommender

__all__ = ["CRAMER", "CRAMERConfig"]


class CRAMER(RecommenderMethod):
    """Requests become sparse row and column gates over a frozen SASRec or BERT4Rec."""

    name = "cramer"
    summary = "natural-language requests mask the rows and columns of a frozen SASRec or BERT4Rec"
    paper = "CRAMER: Control via Request-Aware Masking for Editing Recommenders, under review, 2025"
    reads_texts = True
    prepared_by = ("backbone", "encoder")
    Config = CRAMERConfig
    published = papers.CRAMER

    def prepare(self, config: Any, data: DataRequest, assets: AssetSource) -> None:
        """Fetch data and request encoder, train the backbone, and encode what is asked if the encoder is frozen."""
        from trials.cramer.build import prepare

        super().prepare(config, data, assets)
        prepare(config, data, assets)

    def build(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Make the model around the backbone that all trials share.

        Raises:
            InputError: If requests, gates or the encoder's layers do not fit.
        """
        from trials.cramer.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> Recommender:
        """Likewise, with a backbone without weights, which come with the model's own, and nothing to train on."""
        from trials.cramer.build import rebuild

        return rebuild(config, data, job)
