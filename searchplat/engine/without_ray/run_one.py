"""Trains one configuration without Ray, in this process and what workers it has: for debugging and notebooks."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.seeds import trial_seed
from searchplat.engine.prepare import data_warnings
from searchplat.engine.without_ray.lockstep import in_lockstep
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.order import Order
from searchplat.errors import InputError, SearchFailedError, TryAgainError
from searchplat.methods import load_method
from searchplat.paths import writable_folder
from searchplat.spec.model import SearchSpec

Progress = Callable[[int, int, dict[str, float]], None]


def run_one(
    spec: SearchSpec,
    values: Mapping[str, Any],
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    seed: int | None = None,
    tell: Callable[[str], None] = lambda warning: None,
) -> list[dict[str, float]]:
    """Train one configuration of a space, as a trial of its last stage would.

    Args:
        values: Over the method's defaults, the file's `fixed` and the last stage's.
        progress: Called after every epoch with epochs done, epochs in all, and the epoch's metrics.
        folder: For checkpoints, which are taken up if there are any; a temporary one by default.
        seed: Of the training; by default that of trial 0 of the search, or the one that the last stage's trials share.
        tell: Called with each thing that was let pass in the data's files.

    Returns:
        The metrics of every epoch.

    Raises:
        InputError: If data, weights or values are wrong or do not fit together, or the folder cannot be written.
        SearchFailedError: If the training ends by running out of memory, a bug, or a metric that is not finite.
        TryAgainError: If no space is left on a disk.
    """
    if folder is not None:
        writable_folder(folder, "--folder")
    stage = spec.stages[-1]
    method = load_method(spec.method)
    config = full_config(spec.method, {**spec.fixed, **stage.fixed, **values})
    request = DataRequest(spec.data.name, spec.data.options, stage.data_fraction, spec.seed)
    method.prepare(method.Config(**config), request, AssetStore())
    for warning in data_warnings(spec.data, AssetStore()):
        tell(warning)
    with tempfile.TemporaryDirectory(prefix="searchplat-") as temporary:
        order = Order(
            number=None,
            method=spec.method,
            config=config,
            data=spec.data.name,
            data_options=dict(spec.data.options),
            data_fraction=stage.data_fraction,
            data_seed=spec.seed,
            seed=trial_seed(spec, stage, 0) if seed is None else seed,
            folder=str(folder or temporary),
            threads=max(1, int(spec.resources.cpu)),
            workers=spec.resources.workers,
        )
        reports: list[dict[str, float]] = []
        told = 0
        with in_lockstep(order) as work:
            while True:
                message: Message = work.step()
                if message.kind is Said.NOT_NOW:
                    raise TryAgainError(message.cause)
                if message.kind is Said.WRONG_INPUT:
                    raise InputError(message.cause or "", fields=message.fields)
                if message.kind is Said.PROGRAM_FAILED and (name := _lacked(message.cause or "", spec, config)):
                    raise InputError(
                        f"method {spec.method} asked for {name}, which the space searches and nothing sets: a function "
                        f"has no defaults that are known; add --set {name}=VALUE"
                    )
                if message.kind is not Said.REPORT:
                    raise SearchFailedError(f"the training ended as {message.kind}: {message.cause}")
                if message.epoch > told:  # else it says that this was the last
                    told = message.epoch
                    reports.append(message.metrics)
                    if progress is not None:
                        progress(message.epoch, message.epochs, message.metrics)
                if bad := [key for key, value in message.metrics.items() if not math.isfinite(value)]:
                    said = f"the training diverged in epoch {message.epoch}: {', '.join(bad)} not finite"
                    raise SearchFailedError(said)
                if message.epoch >= message.epochs:
                    return reports


def _lacked(cause: str, spec: SearchSpec, config: Mapping[str, Any]) -> str | None:
    """The searched parameter without a value for which a function failed; None if it failed for something else."""
    last = cause.rstrip().rpartition("\n")[2]
    return next((name for name in spec.space.names if name not in config and last == f"KeyError: {name!r}"), None)
