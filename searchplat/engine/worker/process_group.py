"""Connects the processes that train a trial together, as `torch.distributed`'s default group. Torch loads on use.

Rank 0 opens a store at a port that is free; all of them meet there. GPUs talk by NCCL, everything else by gloo. Nothing
is pickled: what travels are tensors, and addresses as text.
"""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta
from typing import Any

_PATIENCE = timedelta(days=1)
"""Between two exchanges: `timeout_s` says how long an epoch may be silent, and the driver sees a process that dies."""
_MEETING = timedelta(minutes=10)
"""Until all have come: Ray starts them at once, or none."""
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"

Meeting = tuple[str, int]
"""Where the processes meet: host and port."""


def open_store(host: str, workers: int) -> tuple[Any, int]:
    """The store at which `workers` processes meet, in this process, and its port, one that is free.

    Args:
        host: By which the others reach this machine; `127.0.0.1` where all are on it, and nobody else is let in.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented, not listed

    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, 0))
    port = listening.getsockname()[1]
    # The store listens at the socket and closes it in the end.
    store = TCPStore(
        host, port, workers, is_master=True, timeout=_MEETING, wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )  # fmt: skip
    return store, port


def join(meeting: Meeting, rank: int, workers: int, *, gpu: bool, store: Any = None) -> None:
    """Wait until all processes have come, and be one of their group; an error of torch's if they do not.

    Args:
        gpu: Whether each has a GPU.
        store: That of `open_store`, in rank 0.
    """
    import torch
    import torch.distributed as dist

    host, port = meeting
    if host == "127.0.0.1":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK)
    if store is None:
        store = dist.TCPStore(  # type: ignore[attr-defined]
            host, port, workers, is_master=False, timeout=_MEETING
        )
    on_gpu = gpu and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(0)  # Ray shows each process its own
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=workers, timeout=_PATIENCE
    )
