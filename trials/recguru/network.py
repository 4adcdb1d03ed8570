"""The autoencoder of sequences, the recommender's decoder and the discriminator.

Shape letters: `B` sequences, `L` places, `D` width, `N` items.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.recommenders.histories import at_last_places, latest, refuse_empty
from trials.backbones.recommenders.masks import NO_MASKS
from trials.backbones.recommenders.transformer import (
    INITIAL_STD,
    LAYER_NORM_EPS,
    TransformerEncoder,
    TransformerLayer,
    initialise,
)
from trials.data.preparing.dataset import Queries
from trials.recguru.config import RecGURUConfig


class UserAwareLayer(TransformerLayer):
    """Causal self-attention, attention to the user's representation, feed-forward.

    Source: Li et al., WSDM 2022, the decoder of GURU and that of CDSRec. Attention over a single vector gives that
    vector's value whatever asks, so that only the projections of value and output are there.
    """

    def __init__(self, hidden_size: int, num_heads: int, inner_size: int, dropout: float) -> None:
        super().__init__(hidden_size, num_heads, inner_size, dropout, causal=True)
        self.user_value = nn.Linear(hidden_size, hidden_size)
        self.user_output = nn.Linear(hidden_size, hidden_size)
        self.user_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)

    def read(self, states_BLD: Tensor, users_BLD: Tensor) -> Tensor:
        """The next layer's states `[B, L, D]`; each place reads its own user's vector."""
        states_BLD = self.attended(states_BLD, NO_MASKS, None)
        told_BLD = self.dropout(self.user_output(self.user_value(users_BLD)))
        return self.fed(self.user_norm(states_BLD + told_BLD), NO_MASKS)


class UserAwareDecoder(nn.Module):
    """A stack of `UserAwareLayer` with positions of its own.

    Args:
        config: Sizes.
    """

    def __init__(self, config: RecGURUConfig) -> None:
        super().__init__()
        width, dropout = config.hidden_size, config.dropout
        self.position_embedding = nn.Embedding(config.max_length, width)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            UserAwareLayer(width, config.num_heads, config.inner_size, dropout) for _ in range(config.num_layers)
        )

    def forward(self, vectors_BLD: Tensor, users_BLD: Tensor) -> Tensor:
        """States `[B, L, D]`; each depends on the places up to it and on its user's vector only."""
        places_L = torch.arange(vectors_BLD.shape[1], device=vectors_BLD.device)
        states_BLD: Tensor = self.dropout(self.norm(vectors_BLD + self.position_embedding(places_L)))
        for layer in self.layers:
            assert isinstance(layer, UserAwareLayer)
            states_BLD = layer.read(states_BLD, users_BLD)
        return states_BLD


class RecGURUNetwork(nn.Module):
    """Users' representations, reconstructions, and what follows a history.

    Source: Li et al., WSDM 2022. Autoencoder (GURU): self-attention over a sequence, whose last state is the user's
    generalized representation (GUR); a decoder says the sequence again, from the GUR and the items before each.
    Recommender (CDSRec): a decoder of its own over the history, with the GUR. Differs: the encoder is causal, so
    that one pass has the GURs of all beginnings of a sequence: each place's is of the items up to it, and never of what
    is to be predicted there, as it would be were the whole sequence's read at all places.

    Args:
        config: Sizes.
        num_items: `N`.
    """

    def __init__(self, config: RecGURUConfig, num_items: int) -> None:
        super().__init__()
        self.detach_users = config.detach_users
        self.encoder = TransformerEncoder(num_items, causal=True, **config.sizes)
        self.recommender = UserAwareDecoder(config)
        self.decoder: UserAwareDecoder | None = None
        if config.lambda_reconstruction:
            self.decoder = UserAwareDecoder(config)
            self.start_D = nn.Parameter(torch.empty(config.hidden_size))
            nn.init.normal_(self.start_D, std=INITIAL_STD)
        self.apply(initialise)

    def forward(self, items_BL: Tensor) -> Tensor:
        """States `[B, L, D]` of items that are padded on the right; each depends on the items up to it only."""
        return self.continued(items_BL, self.users(items_BL))

    def users(self, items_BL: Tensor) -> Tensor:
        """The GUR of each beginning of a sequence, `[B, L, D]`."""
        return self.encoder.through_layers(self.encoder.item_embedding(items_BL), None)

    def continued(self, items_BL: Tensor, users_BLD: Tensor) -> Tensor:
        """The recommender's states `[B, L, D]`, whose inner products with the item table score the next item."""
        if self.detach_users:
            users_BLD = users_BLD.detach()
        states_BLD: Tensor = self.recommender(self.encoder.item_embedding(items_BL), users_BLD)
        return states_BLD

    def reconstructed(self, items_BL: Tensor, users_BD: Tensor) -> Tensor:
        """States `[B, L, D]` that score each item of sequences from the items before it and the GUR of the whole."""
        assert self.decoder is not None
        before_BLD = self.encoder.item_embedding(items_BL[:, :-1])
        starts_B1D = self.start_D.expand(len(items_BL), 1, -1)
        states_BLD: Tensor = self.decoder(
            torch.cat([starts_B1D, before_BLD], dim=1), users_BD[:, None].expand(-1, items_BL.shape[1], -1)
        )
        return states_BLD

    def encode(self, queries: Queries) -> Tensor:
        """The states `[B, D]` that score what follows each history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self.encoder.max_length)
        refuse_empty(offsets, "RecGURU")
        items_BL, lengths_B = self.encoder.padded(items, offsets)
        return at_last_places(self(items_BL), lengths_B)

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the item table."""
        return states_BD @ self.encoder.item_embedding.weight.T


class Discriminator(nn.Module):
    """Tells from a user's representation where it comes from.

    Source: Li et al., WSDM 2022, GURU; as the authors' code three hidden layers with ReLU and dropout, the
    second twice as wide as the others.

    Args:
        width: `D`.
        factor: Width of the first layer by D.
        dropout: In [0, 1).
    """

    def __init__(self, width: int, factor: int, dropout: float) -> None:
        super().__init__()
        inner = factor * width
        self.layers = nn.ModuleList([nn.Linear(width, inner), nn.Linear(inner, 2 * inner), nn.Linear(2 * inner, inner)])
        self.output = nn.Linear(inner, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, users_BD: Tensor) -> Tensor:
        """Logits `[B]` of the second origin."""
        for layer in self.layers:
            users_BD = self.dropout(F.relu(layer(users_BD)))
        logits_B: Tensor = self.output(users_BD).squeeze(-1)
        return logits_B
