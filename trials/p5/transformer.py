"""T5's encoder and decoder, whose decoder may read all beginnings of many texts as one tree.

Shape letters: `B` rows, `L` places of the encoder, `T` of the decoder, `Q` and `K` of either, `D` width, `H` heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BUCKETS, FARTHEST = 32, 128


class Attention(nn.Module):
    """Multi-head attention without biases or scaling, whose initial weights make up for that.

    Source: Raffel et al., JMLR 2020, section 2.1, and T5's code.

    Args:
        width: D.
        heads: H.
        dropout: Of attention weights.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        for layer in (self.key, self.value, self.out):
            nn.init.normal_(layer.weight, std=width**-0.5)
        nn.init.normal_(self.query.weight, std=width**-0.5 * (width // heads) ** -0.5)

    def forward(self, x_BQD: Tensor, read_BKD: Tensor, bias: Tensor) -> Tensor:
        """What each place reads.

        Args:
            bias: Added to the logits, -inf where nothing is to be seen; broadcast to `[B, H, Q, K]`.
        """
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, x_BQD), (self.key, read_BKD), (self.value, read_BKD))
        )
        dropped = self.dropout if self.training else 0.0
        read_BHQC = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropped, scale=1.0)
        out_BQD: Tensor = self.out(read_BHQC.transpose(1, 2).flatten(2))
        return out_BQD


class Layer(nn.Module):
    """Attention to one's own kind, in the decoder to the encoder's states, and a feed-forward part; norms ahead.

    Args:
        width: D.
        heads: H.
        inner: Width within the feed-forward part.
        dropout: In [0, 1).
        crosses: Whether it is of the decoder.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float, *, crosses: bool) -> None:
        super().__init__()
        self.attention, self.norm = Attention(width, heads, dropout), nn.RMSNorm(width, eps=1e-6)
        self.crossing = Attention(width, heads, dropout) if crosses else None
        self.crossing_norm = nn.RMSNorm(width, eps=1e-6) if crosses else None
        self.up, self.down = nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)
        self.feed_norm, self.dropout = nn.RMSNorm(width, eps=1e-6), nn.Dropout(dropout)
        nn.init.normal_(self.up.weight, std=width**-0.5)
        nn.init.normal_(self.down.weight, std=inner**-0.5)

    def forward(self, h_BTD: Tensor, bias: Tensor, memory_BLD: Tensor | None, seen: Tensor | None) -> Tensor:
        """The next layer's input.

        Args:
            bias: As of `Attention`.
            memory_BLD: The encoder's states, for the decoder.
            seen: Which of them there are, as a bias.
        """
        x_BTD = self.norm(h_BTD)
        h_BTD = h_BTD + self.dropout(self.attention(x_BTD, x_BTD, bias))
        if self.crossing is not None and self.crossing_norm is not None:
            assert memory_BLD is not None
            assert seen is not None
            h_BTD = h_BTD + self.dropout(self.crossing(self.crossing_norm(h_BTD), memory_BLD, seen))
        fed_BTD: Tensor = self.down(self.dropout(F.relu(self.up(self.feed_norm(h_BTD)))))
        out_BTD: Tensor = h_BTD + self.dropout(fed_BTD)
        return out_BTD


class Stack(nn.Module):
    """Layers behind one table of relative positions, and a norm.

    Args:
        layers: How many.
        width, heads, inner, dropout, crosses: As of `Layer`.
    """

    def __init__(self, layers: int, width: int, heads: int, inner: int, dropout: float, *, crosses: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, inner, dropout, crosses=crosses) for _ in range(layers))
        self.positions = nn.Embedding(BUCKETS, heads)
        self.norm, self.dropout = nn.RMSNorm(width, eps=1e-6), nn.Dropout(dropout)
        nn.init.normal_(self.positions.weight, std=width**-0.5)

    def forward(
        self,
        x_BTD: Tensor,
        places_T: Tensor,
        sees: Tensor,
        memory_BLD: Tensor | None = None,
        there_BL: Tensor | None = None,
    ) -> Tensor:
        """States `[B, T, D]`.

        Args:
            x_BTD: Embeddings.
            places_T: Position of each, which those side by side in a tree share.
            sees: Who sees whom, broadcast to `[B, 1, T, T]`.
            memory_BLD: The encoder's states, for the decoder.
            there_BL: Which of them are no padding.
        """
        distances_TT = places_T[None, :] - places_T[:, None]
        bias = self.positions(bucket(distances_TT)).permute(2, 0, 1)[None].masked_fill(~sees, -torch.inf)
        seen = None
        if there_BL is not None:
            seen = torch.zeros(there_BL.shape, device=x_BTD.device).masked_fill(~there_BL, -torch.inf)[:, None, None]
        h_BTD = self.dropout(x_BTD)
        for layer in self.layers:
            h_BTD = layer(h_BTD, bias, memory_BLD, seen)
        out_BTD: Tensor = self.dropout(self.norm(h_BTD))
        return out_BTD


def bucket(distances: Tensor) -> Tensor:
    """T5's bucket of each distance, in [0, 32): half of them for either side, near ones each for itself.

    >>> bucket(torch.tensor([0, -1, -7, -200, 1, 200])).tolist()
    [0, 1, 7, 15, 17, 31]
    """
    half, exact = BUCKETS // 2, BUCKETS // 4
    far = distances.abs()
    steps = torch.log(far.clamp(min=1) / exact) / math.log(FARTHEST / exact) * (half - exact)
    near = torch.where(far < exact, far, (exact + steps.long()).clamp(max=half - 1))
    return near + half * (distances > 0)
