"""A trial: what a method is given, and the training that the platform drives one epoch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from searchplat.contract.assets import AssetSource, WarmCache
from searchplat.contract.data import DataRequest

Values = dict[str, Any]
"""Parameter values of one trial: JSON values only (str, int, float, bool, None)."""


@dataclass(frozen=True)
class TrialJob:
    """Everything that one trial needs.

    Args:
        number: The trial's number in its search, from 0; None for a run outside a search.
        config: An instance of the method's `Config`.
        data: Which data to train on.
        seed: Seeds everything random of this trial.
        folder: Where this trial's checkpoints live; the same on every node.
        assets: Where weights and data come from.
        warm: What this process keeps between trials.
        device: A torch device name, `cpu` or `cuda`.
        threads: CPU threads that the trial may use, or this process of it.
        rank: This process's number among those that train the model together, from 0.
        workers: How many there are, all with the same job but for `rank`; with more than one, the default group of
            `torch.distributed` connects them. Only methods that say `takes_workers` are given more than one.
    """

    number: int | None
    config: BaseModel
    data: DataRequest
    seed: int
    folder: Path
    assets: AssetSource
    warm: WarmCache
    device: str = "cpu"
    threads: int = 1
    rank: int = 0
    workers: int = 1


@runtime_checkable
class Training(Protocol):
    """A trial in training. The engine calls `restore` once, then `run_epoch` and `save` in turn.

    With several workers each of them is driven in step with the others: all restore the same epoch and report the same,
    of which rank 0's report is taken; only rank 0 writes files.
    """

    @property
    def epoch(self) -> int:
        """Epochs completed so far."""
        ...

    @property
    def epochs(self) -> int:
        """Epochs in all; the trial is finished when `epoch == epochs`."""
        ...

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the last completed epoch, empty before the first; a checkpoint keeps them."""
        ...

    def restore(self) -> int:
        """Load the newest valid checkpoint of the job's folder, if any; return its epochs completed, else 0."""
        ...

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch, evaluate on validation, and return metrics, e.g. `{"valid/mrr": 0.1}`.

        Metrics may be NaN or infinite: the engine calls such a trial diverged.
        """
        ...

    def save(self) -> None:
        """Write a checkpoint of the present state, durably."""
        ...


@runtime_checkable
class ClosingTraining(Training, Protocol):
    """A training that holds something that its process does not give back by itself, such as another process."""

    def close(self) -> None:
        """Give it back: the training goes no further. Called once it has ended, was stopped or failed."""
        ...


class Method(Protocol):
    """A method, found through the entry-point group `searchplat.methods`.

    An entry point names a class without constructor arguments. Importing its module must not load
    torch: `searchplat check` looks at `Config` only.

    One whose trainings several processes can share, by `TrialJob.rank` and `workers`, with the results of a single
    process has an attribute `takes_workers`, true; a space with `resources.workers` above 1 is refused for any other.

    One that knows before a training which metrics `valid/...` its epochs report has a method `reported(config)`, which
    names them all; a space with another one as its objective is refused before anything is trained.
    """

    name: str
    summary: str
    paper: str

    @property
    def Config(self) -> type[BaseModel]:
        """The typed config: every field with its unit and range; unknown fields are refused."""
        ...

    def layout_layers(self, config: BaseModel) -> int | None:
        """Number of layers that a layout covers under this config; None if the method has no layout."""
        ...

    def prepare(self, config: BaseModel, data: DataRequest, assets: AssetSource) -> None:
        """Fetch and prepare all that trials of this config will need; called in the driver, before any trial.

        It is called with fixed values and defaults. A method that must prepare for every choice of a searched field
        as well, such as the names of pretrained weights, which trials cannot fetch, lists those fields in an attribute
        `prepared_by`.

        Prints nothing; fetching shows its own progress. Safe to call again and from several processes.
        """
        ...

    def start(self, job: TrialJob) -> Training:
        """Build the model and return it ready to train."""
        ...
