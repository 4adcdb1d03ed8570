"""Asks a worker of the connected cluster whether a storage lets it in."""

from __future__ import annotations

import ray

from searchplat.engine.checkpoints.storage import Storage, check
from searchplat.errors import InputError

_PATIENCE_S = 180.0


def check_from_worker(storage: Storage) -> None:
    """Write, read and remove a small object from a worker's process, which has the environment of trials.

    Raises:
        InputError: If that cannot be done there.
    """
    ask = ray.remote(num_cpus=0, max_retries=0)(_refusal)
    try:
        refusal = ray.get(ask.remote(storage.base, storage.options), timeout=_PATIENCE_S)
    except ray.exceptions.RayError as error:
        raise InputError(f"--storage {storage}: no worker could be asked whether it is let in: {error}") from error
    if refusal is not None:
        raise InputError(f"from a worker: {refusal}")


def _refusal(base: str, options: str) -> str | None:
    try:
        check(Storage(base, options))
    except InputError as error:
        return str(error)
    return None
