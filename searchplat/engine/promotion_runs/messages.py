"""What a promotion's worker says to the driver, and what it is told to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from searchplat.engine.worker.messages import Said
from searchplat.engine.worker.order import Order

Key = tuple[str, str, int]
"""Phase, candidate, seed."""


@dataclass(frozen=True)
class Assignment:
    """What a worker is to do.

    Args:
        order: As for a trial.
        final: Whether to train in full and test, or only as a trial would.
        objective, maximize, patience: What early stopping goes by.
        test: Metrics to measure on the test split.
    """

    key: Key
    order: Order
    final: bool
    objective: str
    maximize: bool
    patience: int
    test: tuple[str, ...]


@dataclass(frozen=True)
class Next:
    """It has nothing to do; answered with an `Assignment`, `wait` or `stop`."""


@dataclass(frozen=True)
class Epoch:
    """An epoch is done, or one that was saved before a restart is told again.

    Args:
        done: Whether the run has ended with it, as a run of the race does.
        best, best_epoch: Of a final run: the metrics of its best epoch, and which that is.
    """

    key: Key
    epoch: int
    metrics: dict[str, float]
    done: bool = False
    best: dict[str, float] | None = None
    best_epoch: int = 0


@dataclass(frozen=True)
class MayTest:
    """A final training is over; answered with the permit that opens the test split."""

    key: Key


@dataclass(frozen=True)
class Measured:
    """The test is over.

    Args:
        ranks: The file of ranks; a bare name if it is in a storage.
    """

    key: Key
    metrics: dict[str, float]
    ranks: str | None
    num_users: int
    parameters: int | None
    fingerprint: str


@dataclass(frozen=True)
class Ended:
    """The run does not go on.

    Args:
        kind: Why; not `REPORT`.
        fields: Of a wrong input: on which fields of the config it depends.
    """

    key: Key
    kind: Said
    cause: str
    fields: tuple[str, ...] = ()


PromotionMessage = Next | Epoch | MayTest | Measured | Ended

AskDriver = Callable[[PromotionMessage], Any]
"""Says something to the driver and returns its answer."""
