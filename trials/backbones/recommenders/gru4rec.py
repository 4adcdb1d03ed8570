"""GRU4Rec: a recurrent network over item ids, with the sizes of RecBole.

Shape letters: `B` histories, `L` places of a history, `D` width of item vectors, `N` items.
"""

from __future__ import annotations

from torch import Tensor, nn

from trials.backbones.recommenders.histories import at_last_places, latest, pad_right, refuse_empty
from trials.data.preparing.dataset import Queries


class GRU4RecEncoder(nn.Module):
    """Turns histories into states, whose inner products with the item table are scores.

    Source: Tan et al., Improved Recurrent Neural Networks for Session-based Recommendations, DLRS 2016, section 3, as
    RecBole reads it: the GRU has no biases, dropout stands on its inputs, and a linear layer takes its states to
    the width of the item vectors (section 3.4, "directly predict the embedding"). Differs from RecBole: every layer's
    weights start by Glorot's rule, not the first one's alone.

    Args:
        num_items: `N`.
        max_length: Latest items of a history that are read, >= 1.
        embedding_size: `D`.
        hidden_size: Width of the GRU's state.
        num_layers: GRU layers, >= 1.
        dropout: Of the item vectors that go in, in [0, 1).
    """

    def __init__(
        self,
        num_items: int,
        *,
        max_length: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(embedding_size, hidden_size, num_layers, bias=False, batch_first=True)
        self.dense = nn.Linear(hidden_size, embedding_size)
        nn.init.xavier_normal_(self.item_embedding.weight)
        for weight in self.gru.parameters():
            nn.init.xavier_uniform_(weight)

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]`; the state at a place depends on the items up to it only.

        Args:
            items_BL: Item indices, oldest first, padded on the right.
        """
        recurrent_BLH, _ = self.gru(self.dropout(self.item_embedding(items_BL)))
        states_BLD: Tensor = self.dense(recurrent_BLH)
        return states_BLD

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.max_length)
        refuse_empty(offsets, "GRU4Rec")
        items_BL, lengths_B = (tensor.to(self.item_embedding.weight.device) for tensor in pad_right(items, offsets))
        return at_last_places(self(items_BL), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the table that the inputs came from."""
        return states_BD @ self.item_embedding.weight.T
