"""BERT4Rec as a recommender: hidden places of a window are filled in, by a softmax over all items.

`trials.backbones.cloze` trains it and says where it differs from the paper and from RecBole;
`trials.backbones.bert4rec` is the encoder.
"""

from __future__ import annotations

from trials.backbones.bert4rec import BERT4RecEncoder
from trials.backbones.cloze import ClozeModel
from trials.bert4rec.config import BERT4RecConfig
from trials.data.dataset import SearchData


class BERT4RecModel(ClozeModel):
    """BERT4Rec with the cloze task.

    Args:
        config: Sizes, window lengths, batch size, chances.
        data: Whose training sequences.
    """

    def __init__(self, config: BERT4RecConfig, data: SearchData) -> None:
        encoder = BERT4RecEncoder(
            data.num_items,
            max_length=config.max_length,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden_size=config.hidden_size,
            inner_size=config.inner_size,
            dropout=config.dropout,
        )
        super().__init__(encoder, data, config)
