"""What a process measures of its own memory. No GPU is needed: without one there is nothing to hold anybody to."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from searchplat.engine import device

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is that of the whole process")
def test_the_peak_is_that_since_it_was_forgotten() -> None:
    device.forget_peaks(gpu=False)  # what earlier tests held may be far above what the process holds now
    before = device.host_peak()
    held = np.ones(64 * MIB, dtype=np.uint8)
    assert device.host_peak() >= before + 32 * MIB
    high = device.host_peak()
    del held
    device.forget_peaks(gpu=False)
    assert device.host_peak() <= high - 32 * MIB


def test_without_a_gpu_nothing_is_measured_and_nothing_bounded() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    device.forget_peaks(gpu=True)
    assert device.gpu_memory() is None
    device.hold_to(0.5)


@pytest.mark.gpu
def test_a_gpu_s_memory_is_measured_and_bounded() -> None:
    import torch

    device.forget_peaks(gpu=True)
    held = torch.ones(256 * MIB, dtype=torch.uint8, device="cuda")
    found = device.gpu_memory()
    assert found is not None
    assert found.allocated >= 256 * MIB
    assert found.held >= found.allocated
    assert found.overhead > 0
    device.hold_to(1024 * MIB / found.total)
    with pytest.raises(torch.OutOfMemoryError):
        torch.ones(2048 * MIB, dtype=torch.uint8, device="cuda")
    device.hold_to(1.0)
    del held
