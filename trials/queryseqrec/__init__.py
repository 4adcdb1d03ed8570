"""Query-SeqRec: what a user asks stands in the sequence, behind what the user met. Loads no torch.

Read `config.py`, then `requests.py` (what is asked, as vectors), `encoder.py` (requests into the sequence) and
`model.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials import papers
from trials.queryseqrec.config import QuerySeqRecConfig
from trials.training import RecommenderMethod

if TYPE_CHECKING:
    from trials.data.preparing.dataset import SearchData
    from trials.queryseqrec.model import QuerySeqRecModel

__all__ = ["QuerySeqRec", "QuerySeqRecConfig"]


class QuerySeqRec(RecommenderMethod):
    """Next items from histories and requests: a request is a place of the sequence, or is joined to its state."""

    name = "queryseqrec"
    summary = "causal self-attention over item ids and a place for what is asked, which predicts the answer"
    paper = (
        "Zhankui He, Handong Zhao, Zhaowen Wang, Zhe Lin, Ajinkya Kale, Julian McAuley: Query-Aware Sequential "
        "Recommendation, CIKM 2022"
    )
    Config = QuerySeqRecConfig
    published = papers.figures_of("Query-SeqRec")
    reads_texts = True

    def prepare(self, config: QuerySeqRecConfig, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare the data, and encode the items' texts and the data's requests."""
        from trials.data import open_search
        from trials.queryseqrec.build import prepare

        super().prepare(config, data, assets)
        prepare(config, open_search(data, assets), assets)

    def build(self, config: QuerySeqRecConfig, data: SearchData, job: TrialJob) -> QuerySeqRecModel:
        """Make the model with random weights, over the vectors of what is asked.

        Raises:
            InputError: If the data set's own requests are wanted, and it has none.
        """
        from trials.queryseqrec.build import build

        return build(config, data, job)

    def rebuild(self, config: Any, data: SearchData, job: TrialJob) -> QuerySeqRecModel:
        """Likewise, with no request of training, and writing down none of those that it will be asked."""
        from trials.queryseqrec.build import build

        return build(config, data, job, blank=True)
