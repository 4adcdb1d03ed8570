"""SASRec as a recommender: every place of a window predicts the next item, by a softmax over all items.

`trials.backbones.next_item` trains it, `trials.backbones.sasrec` is the encoder.
"""

from __future__ import annotations

from trials.backbones.next_item import NextItemModel
from trials.backbones.sasrec import SASRecEncoder
from trials.data.dataset import SearchData
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
        encoder = SASRecEncoder(
            data.num_items,
            max_length=config.max_length,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden_size=config.hidden_size,
            inner_size=config.inner_size,
            dropout=config.dropout,
        )
        super().__init__(encoder, data, config)
