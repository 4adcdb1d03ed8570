"""What the driver sends to a trial's process; `messages` is what comes back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from searchplat import protocol
from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, Values, WarmCache
from searchplat.engine.checkpoints.storage import Storage
from searchplat.engine.checkpoints.sync import SyncedFolder
from searchplat.methods import imports_allowed, load_method


@dataclass(frozen=True)
class Order:
    """What the driver sends to a trial's process: plain values only.

    Args:
        number: The trial's number.
        folder: Its checkpoints; with a storage only what they are called, for they are written elsewhere.
        gpu: Whether it was given a share of a GPU.
        gpu_fraction: Of the GPU's memory that its process may allocate; None for no bound.
        request: What Ray sets aside for it, or for each of its processes: `cpu`, `gpu`, `memory`.
        timeout_s: Seconds that one epoch may take; None for no limit.
        allow_import: Whether the method may be named `module:attribute`; by default as in the process that orders.
        storage: Where its checkpoints are kept, an address for `Storage.of`; None for `folder` itself.
        workers: Processes that train it together, >= 1.
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
    workers: int = 1

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

    def synced_folder(self) -> SyncedFolder | None:
        """A folder of this machine that is kept in the storage; None without a storage."""
        return None if self.storage is None else SyncedFolder(Storage.of(self.storage))

    def job(self, warm: WarmCache, device: str | None = None, rank: int = 0) -> TrialJob:
        """What the method gets.

        Args:
            device: A torch device name; by default that of `gpu`.
            rank: Which of its processes asks.
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
            rank=rank,
            workers=self.workers,
        )
