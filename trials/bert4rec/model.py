"""BERT4Rec as a recommender: hidden places of a window are filled in, by a softmax over all items.

`trials.backbones.recommenders.cloze` trains it and says where it differs from the paper and from RecBole;
`trials.backbones.recommenders.bert4rec` is the encoder.
"""

from __future__ import annotations

from trials.backbones.recommenders.bert4rec import BERT4RecEncoder
from trials.backbones.recommenders.cloze import ClozeModel
from trials.bert4rec.config import BERT4RecConfig
from trials.data.preparing.dataset import SearchData


class BERT4RecModel(ClozeModel):
    """BERT4Rec with the cloze task.

    Args:
        config: Sizes, window lengths, batch size, chances.
        data: Whose training sequences.
    """

    def __init__(self, config: BERT4RecConfig, data: SearchData) -> None:
        super().__init__(BERT4RecEncoder(data.num_items, **config.sizes), data, config)
