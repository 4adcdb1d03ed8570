"""Requests in sequences of items.

Shape letters: `B` histories, `L` places of items, `R` places of requests, `D` width, `W` width of texts, `N` items.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trials.backbones.recommenders.transformer import TransformerEncoder, initialise
from trials.queryseqrec.config import QuerySeqRecConfig


class RequestAwareEncoder(TransformerEncoder):
    """Turns histories and requests into states, whose inner products with the item table are scores.

    Source: He et al., CIKM 2022: a sequence of requests and items, read by SASRec's Transformer, in which a request's
    state predicts what is clicked after it. Differs: an item sees the items before it, a request these and itself, and
    no place sees another request. Whoever asks says what is asked now, and not what was asked before each item of the
    history, so that nothing is learnt of requests that an answer will not have. A request has the vector of the place
    whose item it follows, and one that marks it. With `fusion: concatenation` the sequence is one of items, as CRAMER,
    appendix B.7: a linear layer reads its state beside the request; the paper's backbone is frozen, ours learns along.

    Args:
        num_items: `N`.
        text_width: `W`.
        config: Sizes, and where requests go.
    """

    def __init__(self, num_items: int, text_width: int, config: QuerySeqRecConfig) -> None:
        in_sequence = config.fusion == "sequence"
        super().__init__(num_items, causal=not in_sequence, **config.sizes)
        width = config.hidden_size
        self.request_projection = nn.Linear(text_width, width)
        self.fusion = None if in_sequence else nn.Linear(2 * width, width)
        self.request_mark_D = nn.Parameter(torch.zeros(width)) if in_sequence else None
        self.apply(initialise)

    def forward(self, items_BL: Tensor, requests_BRW: Tensor, behind_BR: Tensor) -> Tensor:
        """The states `[B, R, D]` of requests, each of what it asks behind the items up to a place of its history.

        Args:
            items_BL: Oldest first, padded on the right.
            requests_BRW: Vectors of requests.
            behind_BR: Place of the last item before each request, in `[0, L)`.
        """
        asked_BRD = self.projected(requests_BRW)
        if self.fusion is not None:
            states_BLD = self.through_layers(self.item_embedding(items_BL), None)
            states_BRD = states_BLD.gather(1, behind_BR[..., None].expand(-1, -1, states_BLD.shape[-1]))
            fused_BRD: Tensor = self.fusion(torch.cat([states_BRD, self.dropout(asked_BRD)], dim=-1))
            return fused_BRD
        assert self.request_mark_D is not None
        places_L = torch.arange(items_BL.shape[1], device=items_BL.device)
        vectors = torch.cat(
            [
                self.item_embedding(items_BL) + self.position_embedding(places_L),
                asked_BRD + self.position_embedding(behind_BR) + self.request_mark_D,
            ],
            dim=1,
        )
        states, sees = self.dropout(self.norm(vectors)), sight(items_BL.shape[1], behind_BR)
        for layer in self.layers:
            states = layer(states, sees_BLL=sees)
        last_BRD: Tensor = states[:, items_BL.shape[1] :]
        return last_BRD

    def projected(self, requests: Tensor) -> Tensor:
        """Requests `[..., W]` as vectors `[..., D]` beside those of items."""
        vectors: Tensor = self.request_projection(requests)
        return vectors

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Scores `[B, N]`: inner products with the table that the inputs came from."""
        return states_BD @ self.item_embedding.weight.T


def sight(length: int, behind_BR: Tensor) -> Tensor:
    """Who sees whom among L items and the R requests behind them, `[B, L + R, L + R]`.

    An item sees the items up to itself; a request the items up to the place that it stands behind, and itself.
    """
    places_L = torch.arange(length, device=behind_BR.device)
    batch, requests = behind_BR.shape
    sees = torch.zeros(batch, length + requests, length + requests, dtype=torch.bool, device=behind_BR.device)
    sees[:, :length, :length] = places_L[None, :] <= places_L[:, None]
    sees[:, length:, :length] = places_L <= behind_BR[..., None]
    sees[:, length:, length:] = torch.eye(requests, dtype=torch.bool, device=behind_BR.device)
    return sees
