"""What this process takes of memory, and the bound on what it may take of a GPU's. Torch loads only where asked for."""

from __future__ import annotations

import gc
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_RESET_PEAK = "5"
"""Written to `clear_refs`, Linux forgets the peak of resident memory, see proc(5)."""


def hold_to(fraction: float) -> None:
    """Let this process allocate so much of the GPU's memory: more is Torch's out-of-memory error.

    Does nothing where Torch sees no GPU: what asked for one will say so itself.

    Args:
        fraction: Of all of it, in (0, 1].
    """
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(fraction)


@dataclass(frozen=True)
class GpuMemory:
    """Bytes: held by this process through Torch at its most, the part in tensors, all else in use now, and in all."""

    held: int
    allocated: int
    overhead: int
    total: int


def forget_peaks(gpu: bool) -> None:
    """Begin to measure anew, with what is not needed any more given back."""
    gc.collect()
    with suppress(OSError):  # elsewhere than on Linux the peak stays that of the whole process
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    if gpu:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def host_peak() -> int:
    """Largest resident memory of this process in bytes, since `forget_peaks` where the system can tell."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def gpu_memory() -> GpuMemory | None:
    """What this process held of the GPU since `forget_peaks`; None where Torch sees none."""
    import torch

    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return GpuMemory(
        # A training loop may reset the peak by itself; what the allocator still holds it has had.
        held=max(torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved()),
        allocated=torch.cuda.max_memory_allocated(),
        overhead=max(0, total - free - torch.cuda.memory_reserved()),
        total=total,
    )
