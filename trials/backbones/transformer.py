"""The Transformer layer that SASRec and BERT4Rec share, with the layer order and the starting weights of RecBole.

Shape letters: `B` histories, `L` places of a history, `D` width, `I` inner width, `H` heads, `C` channels of a head.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.masks import NO_MASKS, LayerMasks, gated_linear

LAYER_NORM_EPS = 1e-12
INITIAL_STD = 0.02


class TransformerLayer(nn.Module):
    """Self-attention, then a feed-forward part with GELU, each with dropout, residual sum and LayerNorm.

    Args:
        hidden_size: `D`.
        num_heads: `H`; divides D.
        inner_size: `I`.
        dropout: Of attention weights and of both parts' outputs, in [0, 1).
        causal: Whether a place sees only itself and what is before it.
    """

    def __init__(self, hidden_size: int, num_heads: int, inner_size: int, dropout: float, *, causal: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_dropout = dropout
        self.causal = causal
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.inner = nn.Linear(hidden_size, inner_size)
        self.outer = nn.Linear(inner_size, hidden_size)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, states_BLD: Tensor, masks: LayerMasks | None = None, *, visible_BL: Tensor | None = None
    ) -> Tensor:
        """The next layer's states `[B, L, D]`.

        Args:
            masks: Gates over `output`, `inner` and `outer`.
            visible_BL: True at the places that may be looked at, at least one a history; for a layer that is not
                causal, whose places look to the right as well, where the padding is. None if there is no padding.
        """
        masks = masks or NO_MASKS
        attended_BHLC = F.scaled_dot_product_attention(
            self._heads(self.query(states_BLD)),
            self._heads(self.key(states_BLD)),
            self._heads(self.value(states_BLD)),
            attn_mask=None if visible_BL is None else visible_BL[:, None, None, :],
            is_causal=self.causal,
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        attended_BLD = gated_linear(self.output, attended_BHLC.transpose(1, 2).flatten(2), masks.output)
        states_BLD = self.attention_norm(states_BLD + self.dropout(attended_BLD))
        inner_BLI = F.gelu(gated_linear(self.inner, states_BLD, masks.inner))
        fed_BLD = gated_linear(self.outer, inner_BLI, masks.outer)
        result: Tensor = self.feed_forward_norm(states_BLD + self.dropout(fed_BLD))
        return result

    def _heads(self, x_BLD: Tensor) -> Tensor:
        batch, length, width = x_BLD.shape
        return x_BLD.view(batch, length, self.num_heads, width // self.num_heads).transpose(1, 2)


def initialise(module: nn.Module) -> None:
    """As RecBole: normal weights, zero biases; a LayerNorm starts as torch makes it."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=INITIAL_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
