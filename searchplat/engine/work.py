"""One trial's work in one process: from the driver's order to reports. Knows nothing of Ray.

`actor` runs it in a Ray worker, `local` in this process; both therefore give the same metrics.
"""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from searchplat import protocol
from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, Training, TrialJob, Values, WarmCache
from searchplat.engine.device import hold_to
from searchplat.engine.mirror import Mirror
from searchplat.engine.storage import Storage
from searchplat.engine.watchdog import TIMEOUT_TRACE, Watchdog
from searchplat.errors import InputError, TryAgainError, disk_full, out_of_memory
from searchplat.firewall import sealed
from searchplat.methods import imports_allowed, load_method
from searchplat.paths import from_environment
from searchplat.redaction import redact

WRONG_INPUT = "wrong input: "
"""How a trial's cause begins if its own values do not fit its data or weights."""


@dataclass(frozen=True)
class Order:
    """What the driver sends to a trial's process: plain values only.

    Args:
        number: The trial's number.
        folder: Its checkpoints; with a storage only what they are called, for they are written elsewhere.
        gpu: Whether it was given a share of a GPU.
        gpu_fraction: Of the GPU's memory that its process may allocate; None for no bound.
        request: What Ray sets aside for it: `cpu`, `gpu`, `memory`.
        timeout_s: Seconds that one epoch may take; None for no limit.
        allow_import: Whether the method may be named `module:attribute`; by default as in the process that orders.
        storage: Where its checkpoints are kept, an address for `Storage.of`; None for `folder` itself.
    """

    number: int | None
    method: str
    config: Values
    data: str
    data_options: Values
    data_fraction: float
    data_seed: int
    seed: int
    folder: str
    threads: int = 1
    gpu: bool = False
    timeout_s: float | None = None
    allow_import: bool = field(default_factory=imports_allowed)
    gpu_fraction: float | None = None
    request: dict[str, float] = field(default_factory=dict)
    storage: str | None = None

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order that `to_json` wrote."""
        return cls(**json.loads(text))

    @property
    def data_request(self) -> DataRequest:
        """Which data the trial trains on."""
        options, _ = protocol.renewed(self.data_options, self.config)
        return DataRequest(self.data, options, self.data_fraction, self.data_seed)

    def mirror(self) -> Mirror | None:
        """A folder of this machine that is kept in the storage; None without a storage."""
        return None if self.storage is None else Mirror(Storage.of(self.storage))

    def job(self, warm: WarmCache, device: str | None = None) -> TrialJob:
        """What the method gets.

        Args:
            device: A torch device name; by default that of `gpu`.
        """
        return TrialJob(
            number=self.number,
            config=load_method(self.method).Config(**protocol.renewed(self.data_options, self.config)[1]),
            data=self.data_request,
            seed=self.seed,
            folder=Path(self.folder),
            assets=AssetStore(),
            warm=warm,
            device=device or ("cuda" if self.gpu else "cpu"),
            threads=self.threads,
        )


@dataclass(frozen=True)
class Message:
    """What a trial's process says after each step.

    Args:
        kind: `report`; or how the trial ended: `infeasible`, `timeout`, `bug`; or `later`: it cannot go on now,
            for want of space on a disk, and has not ended; or `input`: what it was given is wrong, and whoever hears it
            decides whether for this trial alone.
        epoch: Epochs completed.
        epochs: Epochs in all.
        metrics: Of the last epoch; may be non-finite.
        cause: For an end: what happened, with the traceback of a bug.
        fields: For `input`: on which fields of the config it depends, as `InputError` has them.
    """

    kind: str
    epoch: int = 0
    epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    cause: str | None = None
    fields: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Text that `from_json` reads; NaN and infinities survive."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Message:
        """The message that `to_json` wrote."""
        content = json.loads(text)
        return cls(**{**content, "fields": tuple(content["fields"])})


class Work:
    """Drives one trial's `Training` step by step and sorts what goes wrong.

    Args:
        order: What to do.
        warm: What this process keeps between trials.
    """

    def __init__(self, order: Order, warm: WarmCache) -> None:
        self._mirror = order.mirror()
        self._order = order if self._mirror is None else replace(order, folder=str(self._mirror.folder))
        self._warm = warm
        self._training: Training | None = None

    def step(self) -> Message:
        """Train one epoch and save a checkpoint; the first step builds the model or takes up a checkpoint.

        A checkpoint is saved before its epoch is reported, and holds the epoch's metrics: whoever takes the
        trial up after a crash reports them again, and the ledger knows whether it had them.
        """
        trace = Path(self._order.folder) / TIMEOUT_TRACE
        mirror = self._mirror
        try:
            if mirror is not None and self._training is None:
                mirror.download()
                mirror.timeout(trace)
            if trace.exists() and trace.stat().st_size:
                stacks = trace.read_text(errors="replace")[-4000:]
                return Message("timeout", cause=f"silent for {self._order.timeout_s} s, at:\n{stacks}")
            tell = None if mirror is None else mirror.tell_timeout
            with sealed(), Watchdog(trace, self._order.timeout_s, tell):
                message = self._step()
            if mirror is not None:  # not by the watchdog's clock: a slow network is no hanging trial
                mirror.upload(message.epoch)
            return message
        except Exception as error:  # every failure is sorted here, so that the worker stays warm
            self._training = None
            if out_of_memory(error):
                self._warm.clear()
                return Message("infeasible", cause=redact(f"out of memory: {error}"))
            if isinstance(error, TryAgainError):
                return Message("later", cause=str(error))
            if isinstance(error, InputError):
                return Message("input", cause=redact(str(error)), fields=error.fields)
            if disk_full(error):
                return Message("later", cause=f"{error}; free some space and run the same command again")
            # Here already, for what a trial says goes through files of Tune's.
            return Message("bug", cause=redact(traceback.format_exc()))

    def close(self) -> None:
        """Remove what this process has of the trial on its machine, if its checkpoints are kept in a storage."""
        if self._mirror is not None:
            self._mirror.close()

    def _step(self) -> Message:
        if self._training is None:
            began = time.perf_counter()
            self._training = self._start()
            setup_seconds = time.perf_counter() - began
            if self._training.restore() > 0:
                # Saved, perhaps not yet reported.
                return self._message(self._training, self._training.metrics)
            return self._epoch(self._training, {"time/setup_seconds": setup_seconds})
        return self._epoch(self._training, {})

    def _start(self) -> Training:
        if self._order.gpu_fraction is not None:
            hold_to(self._order.gpu_fraction)
        return load_method(self._order.method).start(self._order.job(self._warm))

    def _epoch(self, training: Training, more: dict[str, float]) -> Message:
        metrics = {**training.run_epoch(), **more}
        if all(math.isfinite(value) for value in metrics.values()):
            training.save()
        return self._message(training, metrics)

    def _message(self, training: Training, metrics: dict[str, float]) -> Message:
        return Message("report", training.epoch, training.epochs, metrics)


def quiet_environment() -> dict[str, str]:
    """Environment of a trial's process: no hub requests, no progress bars of libraries, our cache."""
    # A trial works in a folder of its own.
    folders = {name: from_environment(name) for name in ("SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "HF_HOME")}
    return {
        **{name: str(folder) for name, folder in folders.items() if folder is not None},
        **{name: os.environ[name] for name in ("SEARCHPLAT_OFFLINE",) if name in os.environ},
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }
