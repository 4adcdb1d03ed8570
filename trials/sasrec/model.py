"""SASRec as a recommender: every place of a window predicts the next item, by a softmax over all items.

`trials.backbones.recommenders.next_item` trains it, `trials.backbones.recommenders.sasrec` is the encoder.
"""

from __future__ import annotations

from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.data.preparing.dataset import SearchData
from trials.sasrec.config import SASRecConfig


class SASRecModel(NextItemModel):
    """SASRec with full softmax cross-entropy.

    Source: Kang and McAuley, ICDM 2018, section III. Differs: cross-entropy over all items and not binary
    cross-entropy with one sampled negative, as RecBole (`loss_type: CE`) and the papers that compare with it; all
    targets of a long sequence and not of its last window only.

    Args:
        config: Sizes, window lengths and batch size.
        data: Whose training sequences.
    """

    encoder: SASRecEncoder

    def __init__(self, config: SASRecConfig, data: SearchData) -> None:
        super().__init__(SASRecEncoder(data.num_items, **config.sizes), data, config)
