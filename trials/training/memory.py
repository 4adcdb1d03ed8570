"""What a training takes of memory, and giving back what it left."""

from __future__ import annotations

import gc
import resource
import sys

import torch


def release(device: torch.device) -> None:
    """Give back what an attempt that ran out of memory has left."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_bytes(device: torch.device) -> int:
    """Largest memory so far: since the peak was last reset on the GPU, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
