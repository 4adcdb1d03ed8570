"""Batches that do not fit into memory: real allocations that the operating system refuses."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from searchplat.errors import out_of_memory
from trials.data.preparing.dataset import Queries, SearchData
from trials.sasrec.config import SASRecConfig
from trials.sasrec.model import SASRecModel
from trials.training.accumulation import backward
from trials.training.loop import Loop
from trials.training.recommender import Losses

GIB = 1 << 30


class Greedy(SASRecModel):
    """SASRec that asks for a GiB of memory a window, or a query, as if activations were that large."""

    def loss(self, batch: Queries) -> Losses:
        torch.empty(len(batch) * GIB, dtype=torch.uint8)  # asked for, never touched: costs nothing if granted
        return super().loss(batch)

    def scores(self, queries: Queries) -> Tensor:
        torch.empty(len(queries) * GIB, dtype=torch.uint8)
        return super().scores(queries)


@pytest.fixture
def room() -> Iterator[Callable[[float], None]]:
    """Limit this process's address space to what it has now and so many GiB more."""
    before = resource.getrlimit(resource.RLIMIT_AS)

    def limit(gib: float) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(gib * GIB), before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_AS, before)


def loop(kind: type[SASRecModel], data: SearchData, folder: Path, **config: Any) -> Loop:
    torch.manual_seed(0)
    settings = SASRecConfig(
        **{"epochs": 2, "hidden_size": 8, "inner_size": 8, "num_layers": 1, "dropout": 0.0, "batch_size": 10, **config}
    )
    return Loop(kind(settings, data), data, settings, seed=1, folder=folder)


@pytest.mark.parametrize("parts", [2, 4, 16])
def test_the_gradients_of_the_parts_add_up_to_that_of_the_batch(data: SearchData, tmp_path: Path, parts: int) -> None:
    import numpy as np

    model = loop(SASRecModel, data, tmp_path).model
    batch = next(iter(model.batches(0, np.random.default_rng(0))))
    whole = backward(model, batch, 1)
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    found = backward(model, batch, parts)
    assert found == pytest.approx(whole, rel=1e-5)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6)


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_a_resumed_trial_remembers(
    data: SearchData, tmp_path: Path, room: Callable[[float], None]
) -> None:
    plain = loop(SASRecModel, data, tmp_path / "plain").run_epoch()
    greedy = loop(Greedy, data, tmp_path / "greedy")
    room(3.5)  # ten windows ask for 10 GiB, five for 5, three for 3
    found = greedy.run_epoch()
    assert found["memory/parts"] == 4
    assert "memory/parts" not in plain
    assert found["train/loss"] == pytest.approx(plain["train/loss"], rel=1e-4)
    assert found["valid/mrr"] == pytest.approx(plain["valid/mrr"], rel=1e-4)
    greedy.save()
    again = loop(Greedy, data, tmp_path / "greedy")
    assert again.restore() == 1
    assert again.run_epoch()["memory/parts"] == 4


def test_what_does_not_fit_in_the_smallest_parts_runs_out_of_memory(
    data: SearchData, tmp_path: Path, room: Callable[[float], None]
) -> None:
    greedy = loop(Greedy, data, tmp_path)
    room(0.5)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as raised:
        greedy.run_epoch()
    assert out_of_memory(raised.value)


def test_other_errors_are_no_lack_of_memory() -> None:
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert out_of_memory(MemoryError())
    assert out_of_memory(torch.cuda.OutOfMemoryError())
