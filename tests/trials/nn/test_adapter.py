"""Adapters against their equations."""

from __future__ import annotations

import pytest
import torch

from trials.nn.adapter import AttachedAdapter, BottleneckAdapter


def test_adapter_equation() -> None:
    torch.manual_seed(0)
    adapter = BottleneckAdapter(6, 3)
    torch.nn.init.normal_(adapter.up.weight)
    torch.nn.init.normal_(adapter.up.bias)
    h = torch.randn(5, 6)
    w1, b1, w2, b2 = adapter.down.weight, adapter.down.bias, adapter.up.weight, adapter.up.bias
    expected = torch.stack([w2 @ (w1 @ row + b1) + b2 + row for row in h])
    torch.testing.assert_close(adapter(h), expected)


def test_adapter_starts_next_to_the_identity() -> None:
    torch.manual_seed(0)
    h = torch.randn(50, 64)
    assert (BottleneckAdapter(64, 16)(h) - h).abs().max() < 0.05


@pytest.mark.parametrize("parallel", [False, True])
def test_attached_in_series_and_in_parallel(parallel: bool) -> None:
    torch.manual_seed(0)
    adapter = AttachedAdapter(6, 3, parallel=parallel)
    torch.nn.init.normal_(adapter.up.weight)
    h, inner = torch.randn(5, 6), torch.randn(5, 6)
    expected = (inner + adapter(h)) / 2 if parallel else adapter(inner)
    torch.testing.assert_close(adapter.attach(inner, h), expected)
