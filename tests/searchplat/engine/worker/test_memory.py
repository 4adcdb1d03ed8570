"""What a process measures of its own memory. No GPU is needed: without one there is nothing to hold anybody to."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from searchplat.engine.worker import memory

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is that of the whole process")
def test_the_peak_is_that_since_it_was_forgotten() -> None:
    memory.forget_peaks(gpu=False)  # what earlier tests held may be far above what the process holds now
    before = memory.host_peak()
    held = np.ones(64 * MIB, dtype=np.uint8)
    assert memory.host_peak() >= before + 32 * MIB
    high = memory.host_peak()
    del held
    memory.forget_peaks(gpu=False)
    assert memory.host_peak() <= high - 32 * MIB


def test_without_a_gpu_nothing_is_measured_and_nothing_bounded() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    memory.forget_peaks(gpu=True)
    assert memory.gpu_memory() is None
    memory.hold_to(0.5)


@pytest.mark.gpu
def test_a_gpu_s_memory_is_measured_and_bounded() -> None:
    import torch

    memory.forget_peaks(gpu=True)
    held = torch.ones(256 * MIB, dtype=torch.uint8, device="cuda")
    found = memory.gpu_memory()
    assert found is not None
    assert found.allocated >= 256 * MIB
    assert found.held >= found.allocated
    assert found.overhead > 0
    memory.hold_to(1024 * MIB / found.total)
    with pytest.raises(torch.OutOfMemoryError):
        torch.ones(2048 * MIB, dtype=torch.uint8, device="cuda")
    memory.hold_to(1.0)
    del held
