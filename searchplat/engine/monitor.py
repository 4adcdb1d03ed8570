"""What a running search tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from searchplat.ledger import Ledger
from searchplat.spec.model import SearchSpec


@dataclass(frozen=True)
class RunInfo:
    """Facts that stand once the search is under way.

    Args:
        ledger: The live ledger; reading it is safe from any thread.
        slots: Trials that may run at once now.
        planned_trials: Trials of all stages and controls together.
        resumed: Whether an earlier run of the same search is taken up.
        watched_since: For somebody who only looks on: seconds that the run had been going when the looking began.
    """

    name: str
    folder: Path
    ledger: Ledger
    spec: SearchSpec
    dashboard_url: str | None
    tracking_uri: str
    slots: Callable[[], int]
    planned_trials: int
    resumed: bool
    watched_since: float | None = None


@dataclass(frozen=True)
class SearchOutcome:
    """How a run of a search ended. `unsent_rows` counts what MLflow has not got yet."""

    name: str
    state: Literal["done", "interrupted", "failed"]
    exit_code: int
    ledger_path: Path
    message: str
    unsent_rows: int = 0


class Monitor(Protocol):
    """Whoever watches; called from the driver's threads, and refreshes itself between `start` and `stop`."""

    def prepare(self, message: str) -> None:
        """Something slow begins before the search can start."""
        ...

    def start(self, info: RunInfo) -> None:
        """The search is under way."""
        ...

    def event(self, message: str) -> None:
        """Something worth a line happened."""
        ...

    def stop(self, outcome: SearchOutcome) -> None:
        """The search has ended."""
        ...


class Silent:
    """A monitor that shows nothing."""

    def prepare(self, message: str) -> None:
        """Show nothing."""

    def start(self, info: RunInfo) -> None:
        """Show nothing."""

    def event(self, message: str) -> None:
        """Show nothing."""

    def stop(self, outcome: SearchOutcome) -> None:
        """Show nothing."""


class Several:
    """Several monitors, told one after the other; of the end the last first, so that a picture is taken away last.

    Args:
        monitors: The first is told first.
    """

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self._monitors = monitors

    def prepare(self, message: str) -> None:
        """Tell all."""
        for monitor in self._monitors:
            monitor.prepare(message)

    def start(self, info: RunInfo) -> None:
        """Tell all."""
        for monitor in self._monitors:
            monitor.start(info)

    def event(self, message: str) -> None:
        """Tell all."""
        for monitor in self._monitors:
            monitor.event(message)

    def stop(self, outcome: SearchOutcome) -> None:
        """Tell all."""
        for monitor in reversed(self._monitors):
            monitor.stop(outcome)
