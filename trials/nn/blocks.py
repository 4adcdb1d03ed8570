"""Packed tokens and the ways to cut them into blocks: by sequence for causal attention, by item for context attention.

Tokens of a whole batch lie one after the other without padding, `[S, ...]`; only attention itself needs a
rectangle. Shape letters: `S` tokens, `M` blocks, `T` places in a block. Next: `attention.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Blocks:
    """Consecutive runs of packed tokens; run m becomes row m of a rectangle, padded on the right.

    Args:
        lengths_M: Tokens of each run, >= 0; they add up to S.
        token_MT: Flat token index of every place; padding holds 0.
        place_S: Flat place `m * T + t` of every token; None for a choice of rows, which can be spread only.
        valid_MT: Which places hold a token; None if all do.
    """

    lengths_M: Tensor
    token_MT: Tensor
    place_S: Tensor | None
    valid_MT: Tensor | None

    @staticmethod
    def of(lengths: NDArray[np.integer[Any]], device: torch.device | str = "cpu") -> Blocks:
        """Blocks of runs with these lengths, laid one after the other."""
        lengths = np.asarray(lengths, dtype=np.int64)
        width = int(lengths.max(initial=0))
        starts = np.cumsum(lengths) - lengths
        valid = np.arange(width) < lengths[:, None]
        token = np.where(valid, starts[:, None] + np.arange(width), 0)
        return Blocks(
            lengths_M=torch.from_numpy(lengths).to(device),
            token_MT=torch.from_numpy(token).to(device),
            place_S=torch.from_numpy(np.flatnonzero(valid)).to(device),
            valid_MT=None if valid.all() else torch.from_numpy(valid).to(device),
        )

    @staticmethod
    def singles(count: int, device: torch.device | str = "cpu") -> Blocks:
        """`count` blocks of one token each."""
        return Blocks.of(np.ones(count, dtype=np.int64), device)

    @property
    def shape(self) -> tuple[int, int]:
        """`(M, T)`."""
        return self.token_MT.shape[0], self.token_MT.shape[1]

    def rows(self, rows_R: Tensor) -> Blocks:
        """The blocks of some rows, e.g. to look up keys for a few queries only."""
        valid = None if self.valid_MT is None else self.valid_MT[rows_R]
        return Blocks(self.lengths_M[rows_R], self.token_MT[rows_R], None, valid)

    def spread(self, x_S: Tensor) -> Tensor:
        """Lay packed values out as `[M, T, ...]`; padding places hold unspecified finite values.

        The gradient is exact as long as no result depends on the padding places.
        """
        if self.place_S is None:
            return _rows(x_S, self.token_MT)
        if self.valid_MT is None:
            return x_S.view(*self.shape, *x_S.shape[1:])
        spread: Tensor = _Spread.apply(x_S, self.token_MT, self.place_S)  # type: ignore[no-untyped-call]
        return spread

    def pack(self, x_MT: Tensor) -> Tensor:
        """Take the tokens' values out of `[M, T, ...]` again: `[S, ...]`."""
        assert self.place_S is not None
        if self.valid_MT is None:
            return x_MT.flatten(0, 1)
        pack: Tensor = _Pack.apply(x_MT, self.token_MT, self.place_S, self.valid_MT)  # type: ignore[no-untyped-call]
        return pack


class _Spread(torch.autograd.Function):
    """`index_select` whose backward is an `index_select` as well: every token has one place, so nothing adds up."""

    @staticmethod
    def forward(ctx: Any, x_S: Tensor, token_MT: Tensor, place_S: Tensor) -> Tensor:
        ctx.save_for_backward(place_S)
        return _rows(x_S, token_MT)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        (place_S,) = ctx.saved_tensors
        return gradients[0].flatten(0, 1).index_select(0, place_S), None, None


class _Pack(torch.autograd.Function):
    """The reverse; its backward puts zeros at the padding, or padded queries would feed a gradient to the keys."""

    @staticmethod
    def forward(ctx: Any, x_MT: Tensor, token_MT: Tensor, place_S: Tensor, valid_MT: Tensor) -> Tensor:
        ctx.save_for_backward(token_MT, valid_MT)
        return x_MT.flatten(0, 1).index_select(0, place_S)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        token_MT, valid_MT = ctx.saved_tensors
        gradient_MT = _rows(gradients[0], token_MT)
        padding = ~valid_MT.view(*valid_MT.shape, *[1] * (gradient_MT.dim() - 2))
        return gradient_MT.masked_fill_(padding, 0), None, None, None


def _rows(x_S: Tensor, index_MT: Tensor) -> Tensor:
    """Rows of `x_S` at every place of a rectangle of indices."""
    return x_S.index_select(0, index_MT.flatten()).view(*index_MT.shape, *x_S.shape[1:])
