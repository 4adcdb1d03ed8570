"""Connecting to Ray: a private one on this machine, or a cluster that is there."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from searchplat.spec.model import Resources

_MIB = 1 << 20


@contextmanager
def connected(address: str | None, environment: dict[str, str]) -> Iterator[str | None]:
    """Connect to Ray for the time of the block.

    Args:
        address: None starts Ray on this machine; else what `ray.init(address=...)` takes.
        environment: Environment variables of every worker.

    Yields:
        The dashboard's address, None if it does not run.
    """
    # What goes wrong with a worker is in the ledger and on the screen; Tune's own account would scroll it away.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # The token file of Ray's authentication must not be readable by others.
    before = os.umask(0o077)
    try:
        context = ray.init(
            address=address,
            include_dashboard=True if address is None else None,
            dashboard_host="127.0.0.1",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": environment},
            # Reports are small and data is memory-mapped: the store needs little of a laptop's memory.
            **({"object_store_memory": 256 * _MIB} if address is None else {}),
        )
    finally:
        os.umask(before)
    try:
        url = context.dashboard_url
        yield f"http://{url}" if url else None
    finally:
        ray.shutdown()


def slots(resources: Resources) -> int:
    """Trials that fit on the cluster's machines as they are now."""
    if resources.concurrent is not None:
        return max(1, min(resources.concurrent, _fitting(resources)))
    return _fitting(resources)


def gpu_share(resources: Resources) -> float:
    """GPUs a trial: what the space says; under `auto` one where the cluster has any, else none."""
    if resources.gpu is not None:
        return resources.gpu
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def _fitting(resources: Resources) -> int:
    total = ray.cluster_resources()
    by_cpu = total.get("CPU", 0) / resources.cpu if resources.cpu else float("inf")
    share = gpu_share(resources)
    by_gpu = total.get("GPU", 0) / share if share else float("inf")
    return max(1, int(min(by_cpu, by_gpu) + 1e-9))
