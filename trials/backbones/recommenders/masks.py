"""Row and column gates over the weights of a Transformer layer, without ever building a masked weight.

A gate vector `r` over the rows of a weight and `c` over its columns stand for `W ⊙ (r cᵀ)`, one such mask a request.
Since `(W ⊙ r cᵀ) x = r ⊙ W (c ⊙ x)`, gating what goes in and what comes out costs O(rows + columns) a request and
not O(rows * columns). Shape letters: `B` histories, `I` inputs and `O` outputs of a linear map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Gates:
    """Gates of one linear map, for each history of a batch; B may be 1 for gates that all of them share.

    Args:
        columns_BI: Over what goes in, `c`; None lets everything in.
        rows_BO: Over what comes out, `r`, before the bias; None lets everything out.
    """

    columns_BI: Tensor | None = None
    rows_BO: Tensor | None = None


@dataclass(frozen=True)
class LayerMasks:
    """Gates of the maskable maps of one layer, by the layer's own names; None leaves a map as it is.

    Args:
        output: The attention's output projection, `W_O`: `[B, D]` and `[B, D]`.
        inner: The feed-forward part's first map: columns `[B, D]`, rows `[B, inner width]`.
        outer: Its second: columns `[B, inner width]`, rows `[B, D]`.
    """

    output: Gates | None = None
    inner: Gates | None = None
    outer: Gates | None = None


NO_MASKS = LayerMasks()


def gated_linear(linear: nn.Linear, x: Tensor, gates: Gates | None) -> Tensor:
    """`r ⊙ (W (c ⊙ x)) + b`, with a history's gates at all of its places.

    The bias is not masked: CRAMER masks matrices.

    Args:
        linear: `W` and `b`.
        x: `[B, ..., I]`; the gates hold for everything between B and I.

    Returns:
        `[B, ..., O]`; without gates, what `linear` gives.

    Source: CRAMER, section 3.3, "Row-Column Gating Masks".
    """
    if gates is None:
        plain: Tensor = linear(x)
        return plain
    if gates.columns_BI is not None:
        x = x * _over_places(gates.columns_BI, x)
    out = F.linear(x, linear.weight)
    if gates.rows_BO is None:
        return out if linear.bias is None else out + linear.bias
    rows = _over_places(gates.rows_BO, out)
    # One pass over the activations and not two: they are large, and on a CPU memory is what it costs.
    return out * rows if linear.bias is None else torch.addcmul(linear.bias, out, rows)


def _over_places(gates_BW: Tensor, like: Tensor) -> Tensor:
    """`[B, 1, ..., 1, W]`, to be multiplied with `like [B, ..., W]`."""
    return gates_BW.view(len(gates_BW), *[1] * (like.ndim - 2), gates_BW.shape[-1])
