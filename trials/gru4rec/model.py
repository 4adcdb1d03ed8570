"""GRU4Rec as a recommender: every place of a window predicts the next item, by a softmax over all items.

`trials.backbones.recommenders.next_item` trains it, `trials.backbones.recommenders.gru4rec` is the encoder.
"""

from __future__ import annotations

from trials.backbones.recommenders.gru4rec import GRU4RecEncoder
from trials.backbones.recommenders.next_item import NextItemModel
from trials.data.preparing.dataset import SearchData
from trials.gru4rec.config import GRU4RecConfig


class GRU4RecModel(NextItemModel):
    """GRU4Rec with full softmax cross-entropy.

    Source: Tan et al., DLRS 2016. Differs: a softmax over all items (as RecBole, `loss_type: CE`) and not a ranking
    loss against the other items of the batch; a window's places are trained on at once, where the paper and RecBole
    make an example of every prefix: the states of a prefix are the same, so the losses are.

    Args:
        config: Sizes, window lengths and batch size.
        data: Whose training sequences.
    """

    def __init__(self, config: GRU4RecConfig, data: SearchData) -> None:
        encoder = GRU4RecEncoder(
            data.num_items,
            max_length=config.max_length,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            dropout=config.dropout,
        )
        super().__init__(encoder, data, config)
