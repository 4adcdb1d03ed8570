"""A final training: early stopping, shared among workers, and tested once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from searchplat.contract.training import Training, TrialJob
from searchplat.firewall import TestPermit


@dataclass(frozen=True)
class FinalJob:
    """Everything that one final training needs.

    Args:
        trial: Which config to train, on which data and seed, where; its `config` has the epochs of promotion.
        objective: The metric that early stopping goes by, e.g. `valid/mrr`; never one of the test split.
        maximize: Whether more of it is better.
        patience: Epochs without a new best after which training ends, >= 1.
        rank: This process's number among those that train the model together, from 0.
        workers: How many there are; with more than one, the default group of `torch.distributed` connects them.
        code: The `module:attribute` by which the method is found again; None for an installed one, found by its name.
    """

    trial: TrialJob
    objective: str
    maximize: bool = True
    patience: int = 5
    rank: int = 0
    workers: int = 1
    code: str | None = None


SAMPLED = "sampled/"
"""Before the names of metrics among sampled items, which compare with their like only."""

SAMPLED_RANKS = "sampled-ranks.npy"
"""The file of ranks among sampled items, beside that of the ranks among all."""


def group_ranks_file(group: str) -> str:
    """The file of the ranks among all items of one group's users, in the users' order.

    >>> group_ranks_file("cold")
    'cold-ranks.npy'
    """
    return f"{group}-ranks.npy"


@dataclass(frozen=True)
class Tested:
    """The one test of a final training.

    Args:
        metrics: On the test split, by name without a prefix, e.g. `{"mrr": 0.1}`; `sampled/<name>` among sampled items,
            `<group>/<name>` over one of the groups of `searchplat.contract.measures`. There may be more than asked for.
        num_users: Users tested.
        ranks: An .npy file, int32 `[num_users]`: the rank, from 1, of every user's test item, or `[num_users, T]` of
            several, 0 for none; None where figures are a program's own and users not known. Beside it lies
            `SAMPLED_RANKS`, alike, where the configuration asks for a ranking among sampled items as well, and for
            every group over which a metric is wanted a `group_ranks_file`, shorter.
    """

    metrics: Mapping[str, float]
    num_users: int
    ranks: Path | None


@runtime_checkable
class FinalTraining(Training, Protocol):
    """A training with early stopping, driven like a trial until it is `done`, then tested once.

    With several workers each of them is driven in step with the others; only rank 0 writes files.
    """

    @property
    def done(self) -> bool:
        """Whether all epochs are completed, or validation has not improved for too long."""
        ...

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights are kept; 0 before the first."""
        ...

    @property
    def best_metrics(self) -> dict[str, float]:
        """Metrics of the best epoch."""
        ...

    @property
    def num_parameters(self) -> int | None:
        """Trained parameters; None if they are not known."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the data trained on; equal data has equal fingerprints."""
        ...

    def test(self, permit: TestPermit, metrics: Sequence[str]) -> Tested:
        """Measure the best epoch's weights on the test split, and leave them in the job's folder.

        Afterwards the folder holds `model.safetensors` (trained parameters and persistent buffers), `model.json`
        (method, its `code` if there is one, config, data, seed, best epoch) and the ranks.
        """
        ...


@runtime_checkable
class FinalMethod(Protocol):
    """What a `Method` needs beyond it to be promoted."""

    def start_final(self, job: FinalJob) -> FinalTraining:
        """Build the model and return it ready to train in full."""
        ...
