"""The M-Former: experts of learned queries that read collaborative embeddings and become the prefix (section 4.2).

Shape letters: `B` histories, `W` rows that they share, `P` places of a history (the paper's N), `C` width of a
collaborative embedding, `K` experts, `E` activated experts of a history, `L` queries of an expert, `M` width of the
M-Former, `D` width of the language model, `X` rows of one attention.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUERY_STD = 0.02
"""Standard deviation of the learned queries and of the projections at the start, as BERT and the Q-Former have it."""

AGES = 64
"""Items back to which recency is told apart."""


@dataclass(frozen=True)
class Routing:
    """What the router made of a batch of histories.

    Args:
        weights_BK: w of eq. 4: mean over a history's items of the softmax; rows sum to 1.
        dispatched_BK: f of eq. 9: share of a history's items whose likeliest expert it is; rows sum to 1.
        chosen_BE: The activated experts, of the largest weights.
    """

    weights_BK: Tensor
    dispatched_BK: Tensor
    chosen_BE: Tensor


class ExpertRouter(nn.Module):
    """`w_j = Σ_i softmax(C W_rᵀ)_ij / N` and the k experts of the largest weights (eq. 4, 8, 9).

    Args:
        width: C.
        num_experts: K.
        top: Experts to activate.
    """

    def __init__(self, width: int, num_experts: int, top: int) -> None:
        super().__init__()
        self.top = top
        self.gate = nn.Linear(width, num_experts, bias=False)  # Appendix B: a fully connected layer; eq. 4: no bias

    def forward(self, collaborative_WPC: Tensor, valid_BP: Tensor, row_B: Tensor | None = None) -> Routing:
        """Route histories; arguments as `MFormer.forward`."""
        p_BPK = _of(torch.softmax(self.gate(collaborative_WPC), -1), row_B)
        valid_BP1 = valid_BP.unsqueeze(-1).to(p_BPK.dtype)
        count_B1 = valid_BP1.sum(1)
        weights_BK = (p_BPK * valid_BP1).sum(1) / count_B1
        first_BPK = F.one_hot(p_BPK.argmax(-1), p_BPK.shape[-1]) * valid_BP1
        return Routing(weights_BK, (first_BPK.sum(1) / count_B1).detach(), weights_BK.topk(self.top, dim=1).indices)


class MFormer(nn.Module):
    """Turns the collaborative embeddings of a history's items into the prefix.

    Every activated expert's queries go through the same blocks by themselves; the results are added up with the
    router's weights, which are those of eq. 4 and do not sum to 1 over the activated experts.

    Args:
        collaborative_width: C.
        output_width: D.
        num_experts: K.
        top_experts: Activated experts of a history.
        num_queries: L.
        width: M.
        num_heads: Divides M.
        num_layers: Z.
        cross_every: Every so many blocks one has cross-attention, beginning with the first.
        dropout: Of attention weights and of the blocks' outputs.
        output_std: Spread of the prefix's channels at the start.
        output_mean_D: Mean of the prefix's channels at the start.
        recency: Whether cross-attention knows how long ago an item was; otherwise it reads a set, whose order is known
            from the collaborative embeddings alone.

    Source: Laser, section 4.2 and Appendix B. Differs: eq. 5 shows attention with one head and without projections,
    Appendix B has 12 heads, so that each block projects queries, keys and values, the latter two from C' (the one
    linear map of C). Blocks normalise before each part (the paper does not say), which trains from random weights
    without warm-up. The prefix starts with the spread of the vocabulary (ours): other lengths than a word's are what
    the frozen model never met. With one expert there is nothing to route, and no router.
    """

    def __init__(
        self,
        collaborative_width: int,
        output_width: int,
        *,
        num_experts: int,
        top_experts: int,
        num_queries: int,
        width: int,
        num_heads: int,
        num_layers: int,
        cross_every: int,
        dropout: float,
        output_std: float,
        output_mean_D: Tensor,
        recency: bool = False,
    ) -> None:
        super().__init__()
        self.router = ExpertRouter(collaborative_width, num_experts, top_experts) if num_experts > 1 else None
        self.queries_KLM = nn.Parameter(torch.empty(num_experts, num_queries, width).normal_(std=QUERY_STD))
        self.read = nn.Linear(collaborative_width, width)
        self.blocks = nn.ModuleList(
            Block(width, num_heads, dropout, cross=place % cross_every == 0, recency=recency)
            for place in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, output_width)
        # Experts read the same items and begin alike: `top` of them with a weight of about 1 / K add up to top / K.
        nn.init.normal_(self.output.weight, std=output_std * num_experts / (top_experts * width**0.5))
        with torch.no_grad():
            self.output.bias.copy_(output_mean_D)

    def forward(
        self, collaborative_WPC: Tensor, valid_BP: Tensor, row_B: Tensor | None = None
    ) -> tuple[Tensor, Routing | None]:
        """The prefix `[B, L, D]` of each history, and how it was routed (None with one expert).

        Args:
            collaborative_WPC: Collaborative embeddings, padded.
            valid_BP: True at the items of each history, which has one at least.
            row_B: Whose row of the collaborative embeddings it reads; None if W is B.
        """
        routing = None if self.router is None else self.router(collaborative_WPC, valid_BP, row_B)
        batch = len(valid_BP)
        if routing is None:
            x_BELM = self.queries_KLM.unsqueeze(0).expand(batch, -1, -1, -1)
        else:
            x_BELM = self.queries_KLM[routing.chosen_BE]
        experts = x_BELM.shape[1]
        x_XLM = x_BELM.flatten(0, 1)
        read_WPM = self.read(collaborative_WPC)
        seen_XP = valid_BP.repeat_interleave(experts, 0)
        ago_XP = seen_XP.sum(1, keepdim=True) - 1 - torch.arange(seen_XP.shape[1], device=seen_XP.device)
        row_B = torch.arange(batch, device=seen_XP.device) if row_B is None else row_B
        row_X = row_B.repeat_interleave(experts)
        for block in self.blocks:
            x_XLM = block(x_XLM, read_WPM, seen_XP, ago_XP, row_X)
        x_BELM = self.norm(x_XLM).unflatten(0, (batch, experts))
        if routing is None:
            mixed_BLM = x_BELM.sum(1)
        else:
            weights_BE = routing.weights_BK.gather(1, routing.chosen_BE)
            mixed_BLM = torch.einsum("be,belm->blm", weights_BE, x_BELM)
        prefix_BLD: Tensor = self.output(mixed_BLM)
        return prefix_BLD, routing


class Block(nn.Module):
    """Self-attention among an expert's queries, cross-attention to the items if there is one, feed-forward with GELU.

    Args:
        width: M.
        num_heads: Divides M.
        dropout: In [0, 1).
        cross: Whether it has cross-attention.
        recency: Whether this knows how long ago an item was.
    """

    def __init__(self, width: int, num_heads: int, dropout: float, *, cross: bool, recency: bool = False) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, num_heads, dropout)
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.cross_attention = Attention(width, num_heads, dropout) if cross else None
        self.recency_HA: nn.Parameter | None = None
        if cross and recency:
            steepness_H = 2.0 ** (1 - torch.arange(num_heads, dtype=torch.float32))
            self.recency_HA = nn.Parameter(-steepness_H.unsqueeze(1) * torch.arange(AGES))
        self.inner_norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_XLM: Tensor, read_WPM: Tensor, seen_XP: Tensor, ago_XP: Tensor, row_X: Tensor) -> Tensor:
        """The next block's queries `[X, L, M]`.

        Args:
            x_XLM: Queries.
            read_WPM: C', the items as the M-Former reads them.
            seen_XP: True at the items that are seen.
            ago_XP: How many items after each are seen.
            row_X: Of which row of C'.
        """
        y_XLM = self.self_norm(x_XLM)
        x_XLM = x_XLM + self.dropout(self.self_attention(y_XLM, y_XLM))
        if self.cross_attention is not None:
            assert self.cross_norm is not None
            mask_X11P = seen_XP[:, None, None, :]
            if self.recency_HA is not None:
                bias_XHP = self.recency_HA[:, ago_XP.clamp(0, AGES - 1)].transpose(0, 1)
                mask_X11P = bias_XHP.unsqueeze(2).masked_fill(~mask_X11P, -torch.inf)
            x_XLM = x_XLM + self.dropout(self.cross_attention(self.cross_norm(x_XLM), read_WPM, mask_X11P, row_X))
        fed_XLM = self.outer(F.gelu(self.inner(self.inner_norm(x_XLM))))
        result_XLM: Tensor = x_XLM + self.dropout(fed_XLM)
        return result_XLM


class Attention(nn.Module):
    """Multi-head attention of queries to memory."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.weight_dropout = dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, x_XLM: Tensor, memory_WPM: Tensor, mask_XHLP: Tensor | None = None, row_X: Tensor | None = None
    ) -> Tensor:
        """What each query takes from its row of the memory, `[X, L, M]`.

        Args:
            x_XLM: Queries.
            memory_WPM: Memory.
            mask_XHLP: Which places are seen, or what is added to their logits; None for all.
            row_X: Of which row of the memory; None if each has its own.
        """
        keys, values = _of(self.key_value(memory_WPM), row_X).chunk(2, dim=-1)
        out = F.scaled_dot_product_attention(
            self._heads(self.query(x_XLM)),
            self._heads(keys),
            self._heads(values),
            attn_mask=mask_XHLP,
            dropout_p=self.weight_dropout if self.training else 0.0,
        )
        attended: Tensor = self.output(out.transpose(1, 2).flatten(2))
        return attended

    def _heads(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        return x.view(rows, length, self.num_heads, width // self.num_heads).transpose(1, 2)


def _of(x_W: Tensor, row_B: Tensor | None) -> Tensor:
    """The rows of some histories."""
    return x_W if row_B is None else x_W.index_select(0, row_B)
