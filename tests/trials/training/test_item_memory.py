"""What the phases keep: the best epoch's items and weights, in buffers that a checkpoint has."""

from __future__ import annotations

import torch
from torch import nn

from trials.training.item_memory import ItemMemory


def weights(value: float) -> list[nn.Parameter]:
    return [nn.Parameter(torch.full((2, 2), value)), nn.Parameter(torch.full((3,), -value))]


def test_the_best_epoch_comes_back() -> None:
    memory = ItemMemory(4, 3, 7)
    now = weights(0.0)
    assert not memory.return_to_best(now)
    for epoch, value in enumerate([0.2, 0.5, 0.5, 0.1]):
        memory.use(torch.full((4, 3), float(epoch)))
        memory.consider(value, weights(float(epoch)))
    memory.consider(float("nan"), weights(9.0))
    other = ItemMemory(4, 3, 7)
    other.load_state_dict(memory.state_dict())
    assert other.return_to_best(now)
    assert torch.equal(other.items_ND, torch.ones(4, 3))  # of two equal epochs the earlier
    assert torch.equal(now[0], torch.ones(2, 2))
    assert torch.equal(now[1], -torch.ones(3))


def test_without_two_phases_nothing_is_kept() -> None:
    memory = ItemMemory(4, 3, 0)
    memory.use(torch.ones(4, 3))
    memory.consider(0.5, [])
    assert not memory.return_to_best([])
    assert sum(buffer.numel() for buffer in memory.buffers()) == 4 * 3 + 2
