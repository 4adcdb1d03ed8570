"""Packed tokens: laying out, taking back, and exact gradients through both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trials.nn.blocks import Blocks


@pytest.mark.parametrize("lengths", [[3, 1, 2], [2, 2], [4], [1, 0, 3]])
def test_spread_then_pack_is_the_identity(lengths: list[int]) -> None:
    blocks = Blocks.of(np.array(lengths))
    x = torch.randn(sum(lengths), 2, 3)
    spread = blocks.spread(x)
    assert spread.shape == (len(lengths), max(lengths), 2, 3)
    start = 0
    for row, length in zip(spread, lengths, strict=True):
        torch.testing.assert_close(row[:length], x[start : start + length])
        start += length
    torch.testing.assert_close(blocks.pack(spread), x)


def test_gradients_equal_those_of_plain_indexing() -> None:
    blocks = Blocks.of(np.array([3, 1, 2]))
    assert blocks.valid_MT is not None
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 3, 2, dtype=torch.float64) * blocks.valid_MT[..., None]
    assert torch.autograd.gradcheck(lambda y: (blocks.spread(y) * weights).sum(), (x,))
    z = torch.randn(3, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blocks.pack, (z,))


def test_rows_choose_blocks() -> None:
    blocks = Blocks.of(np.array([3, 1, 2]))
    x = torch.randn(6, 2)
    chosen = blocks.rows(torch.tensor([2, 0]))
    torch.testing.assert_close(chosen.spread(x), blocks.spread(x)[[2, 0]])


def test_singles() -> None:
    x = torch.randn(4, 3)
    torch.testing.assert_close(Blocks.singles(4).spread(x), x[:, None])
