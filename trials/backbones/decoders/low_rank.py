"""LoRA: trained low-rank updates of a frozen decoder's projections to queries and values.

Shape letters: `S` or `R` tokens, `D` width, `H` query heads, `G` key/value heads, `C` channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.parts import DecoderParts, LayerParts, Rotation, rotate


class LowRankUpdate(nn.Module):
    """`ΔW x = (α / r) B A x`, zero at the start since B is.

    Source: Hu et al., LoRA, ICLR 2022, section 4.1, eq. 3; dropout of x as in the authors' code.

    Args:
        width: Of x.
        out: Rows of W.
        rank: r, >= 1.
        alpha: α.
        dropout: In [0, 1).
    """

    def __init__(self, width: int, out: int, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, out, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """What is added to `W x`."""
        update: Tensor = self.up(self.down(self.dropout(x)))
        return update * self.scale


class LowRankAdapters(nn.Module):
    """One update for the queries and one for the values of every layer.

    The decoder stays as it is, shared with other trials: `attach` gives a view of it that has the updates.

    Args:
        lm: Frozen, of an architecture in `ARCHITECTURES`.
        rank, alpha, dropout: As of `LowRankUpdate`.
    """

    def __init__(self, lm: DecoderLM, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        width = lm.hidden_size
        bfloat16 = next(p for p in lm.parts.model.parameters() if p.dim() > 1).dtype == torch.bfloat16
        of_type = torch.autocast(torch.device(lm.device).type, torch.bfloat16, enabled=bfloat16)
        with torch.no_grad(), of_type:  # how many numbers a layer's queries and values have, by asking it
            x_1D = torch.zeros(1, width, device=lm.device)
            sizes = [
                (layer.queries(x_1D, None).numel(), layer.keys_values(x_1D, None)[1].numel())
                for layer in lm.parts.layers
            ]
        self.queries = nn.ModuleList(LowRankUpdate(width, size, rank, alpha, dropout) for size, _ in sizes)
        self.values = nn.ModuleList(LowRankUpdate(width, size, rank, alpha, dropout) for _, size in sizes)

    def attach(self, parts: DecoderParts) -> DecoderParts:
        """The decoder with the updates."""
        return _AdaptedDecoder(parts, self)


class _AdaptedLayer(LayerParts):
    """A frozen layer but for what is added to its queries and values."""

    def __init__(self, layer: LayerParts, query: nn.Module, value: nn.Module) -> None:
        self.scale = layer.scale
        self._layer, self._query, self._value = layer, query, value

    def before_attention(self, h_SD: Tensor) -> Tensor:
        return self._layer.before_attention(h_SD)

    def queries(self, x_RD: Tensor, rotation: Rotation | None) -> Tensor:
        q_RHC = self._layer.queries(x_RD, rotation)
        return q_RHC + rotate(self._query(x_RD).view_as(q_RHC), rotation)  # turning is linear

    def keys_values(self, x_SD: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        k_SGC, v_SGC = self._layer.keys_values(x_SD, rotation)
        return k_SGC, v_SGC + self._value(x_SD).view_as(v_SGC)

    def output(self, context_RF: Tensor) -> Tensor:
        return self._layer.output(context_RF)

    def after_attention(self, h_RD: Tensor) -> Tensor:
        return self._layer.after_attention(h_RD)

    def before_feed_forward(self, h_RD: Tensor) -> Tensor:
        return self._layer.before_feed_forward(h_RD)

    def feed_forward(self, x_RD: Tensor) -> Tensor:
        return self._layer.feed_forward(x_RD)

    def after_feed_forward(self, h_RD: Tensor) -> Tensor:
        return self._layer.after_feed_forward(h_RD)


class _AdaptedDecoder(DecoderParts):
    def __init__(self, parts: DecoderParts, adapters: LowRankAdapters) -> None:
        super().__init__(parts.model)
        self._parts = parts
        self.layers = [
            _AdaptedLayer(layer, query, value)
            for layer, query, value in zip(parts.layers, adapters.queries, adapters.values, strict=True)
        ]

    def embed(self, ids_S: Tensor) -> Tensor:
        return self._parts.embed(ids_S)

    def add_positions(self, states_SD: Tensor, positions_S: Tensor) -> Tensor:
        return self._parts.add_positions(states_SD, positions_S)

    def rotation(self, positions_S: Tensor) -> Rotation | None:
        return self._parts.rotation(positions_S)

    def final_norm(self, states_RD: Tensor) -> Tensor:
        return self._parts.final_norm(states_RD)
