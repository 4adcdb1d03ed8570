"""What a searcher is: a function of the ledger's trials and a seed.

A searcher may keep what it computed as a cache, but equal histories, numbers and seeds must give equal
suggestions, in this process or another: that is what makes every searcher resume, warm-start and compare
in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from searchplat.contract import Values


class TrialState(StrEnum):
    """Where a trial stands. The first two are open, the others final."""

    WAITING = "waiting"  # suggested, not started (or to be taken up again)
    RUNNING = "running"
    FINISHED = "finished"  # all its epochs
    STOPPED = "stopped"  # early, by a rule of early stopping or by hand, then perhaps before its first report
    DIVERGED = "diverged"  # a metric was NaN or infinite
    INFEASIBLE = "infeasible"  # out of memory also at the smallest micro-batch, or its values do not fit the data
    TIMEOUT = "timeout"  # silent for longer than allowed
    FAILED = "failed"  # a bug, a program that failed, an objective that is not reported, or workers that died too often

    @property
    def final(self) -> bool:
        """Whether the trial has ended."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)

    @property
    def scored(self) -> bool:
        """Whether the trial ended with an objective value, if it reported one."""
        return self in (TrialState.FINISHED, TrialState.STOPPED)


@dataclass(frozen=True)
class PastTrial:
    """One trial of the same stage, as the ledger has it.

    Args:
        number: Its number in the search.
        values: The searched values.
        state: Where it stands.
        objectives: Best value so far, one per objective, always finite; None without a report.
        seconds: Training time so far.
        suggested_at: Ledger sequence number of the suggestion.
        based_on: Sequence number up to which the searcher had seen the ledger when it suggested this trial.
        ended_at: Sequence number of the end; None while open.
        excess: By how much it exceeds each bound of the search on outcomes, in shares of the limit; at most 0 where it
            keeps it, infinite where it did not report the metric. One for each bound where there are objectives.
    """

    number: int
    values: Mapping[str, Any]
    state: TrialState
    objectives: tuple[float, ...] | None = None
    seconds: float = 0.0
    suggested_at: int = 0
    based_on: int = 0
    ended_at: int | None = None
    excess: tuple[float, ...] = ()

    @property
    def violation(self) -> float:
        """By how much it breaks the bounds together; 0 if it keeps them all."""
        return sum(value for value in self.excess if value > 0)


@dataclass(frozen=True)
class History:
    """All trials of the stage in the order of their numbers, as of ledger sequence number `seq`."""

    trials: tuple[PastTrial, ...] = ()
    seq: int = 0


@dataclass(frozen=True)
class Suggestion:
    """Proposed values, and what the searcher has to say about them (JSON values: route, seconds, noise, ...)."""

    values: Values
    info: dict[str, Any] = field(default_factory=dict)


class Searcher(Protocol):
    """Proposes one point at a time."""

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose the values of trial `number`.

        Args:
            history: All earlier trials of the stage; open ones are pending points.
            number: The new trial's number; with the searcher's seed it seeds the draw.

        Returns:
            A suggestion; None if no point is left that was not tried.
        """
        ...


@runtime_checkable
class BatchSearcher(Protocol):
    """A searcher that proposes several points in about the time of one."""

    def suggest_many(self, history: History, number: int, count: int) -> list[Suggestion]:
        """Propose the values of trials `number`, `number + 1`, ..., all different.

        Args:
            count: At most so many, >= 1; the first is what `suggest` would propose.

        Returns:
            One suggestion or more; none only if no point is left that was not tried.
        """
        ...
