"""What a trial's message means: a report is written to the ledger, then judged, and the trial ends or goes on.

The one place where trials end by what they say; a worker that dies says nothing (`loop`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from searchplat.engine.judging.early_stopping import make_early_stopping
from searchplat.engine.judging.score import Score, Value
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.worker.messages import WRONG_INPUT, Message, Said
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger.outcomes import outcomes_of
from searchplat.ledger.ranking import gains
from searchplat.searchers.contract import TrialState
from searchplat.spec.errors import suggest
from searchplat.spec.model import CONTROLS

if TYPE_CHECKING:
    from searchplat.ledger import Ledger, TrialRecord
    from searchplat.spec.model import SearchSpec

_ENDS = {
    Said.INFEASIBLE: TrialState.INFEASIBLE, Said.TIMEOUT: TrialState.TIMEOUT,
    Said.PROGRAM_FAILED: TrialState.FAILED, Said.BUG: TrialState.FAILED,
}  # fmt: skip
_NEVER_WORKED = 3
"""Trials whose programs failed, before any trial reported, after which the search ends as for a bug."""


class Judge:
    """Writes messages down and says which trials go on.

    Args:
        epochs: Epochs of a full trial, by stage name.
        remove_checkpoints: Called with every trial that has ended.
        on_bug: Called with the trial whose code raised; the search is to stop.
        shutdown: Told if what a trial was given is wrong for every trial.
    """

    def __init__(
        self,
        spec: SearchSpec,
        ledger: Ledger,
        epochs: dict[str, int],
        remove_checkpoints: Callable[[TrialRecord], None],
        on_bug: Callable[[TrialRecord], None],
        shutdown: Shutdown,
    ) -> None:
        self._ledger, self._shutdown = ledger, shutdown
        self._remove_checkpoints, self._on_bug = remove_checkpoints, on_bug
        self._objectives = spec.objectives
        self._searched = spec.space.names
        self._stopping = {
            stage.name: make_early_stopping(stage.scheduler, epochs[stage.name], maximize=spec.objectives[0].maximize)
            for stage in spec.stages
        }

    def goes_on(self, number: int, message: Message) -> bool:
        """Write down what a trial says; whether it trains another epoch.

        If not, it has ended; or the input is wrong for all trials, it stays open, and the search is told to end.

        Raises:
            TryAgainError: If it cannot go on now: a disk is full, a storage fails, or its host is not fit.
        """
        if message.kind is Said.NOT_NOW:
            raise TryAgainError(message.cause)
        if message.kind is Said.REPORT:
            return self._report(number, message)
        if message.kind is Said.WRONG_INPUT:
            if not {*self._searched, *self._ledger.trial(number).values}.intersection(message.fields):
                self._shutdown.at_once(InputError(message.cause or ""))  # every other trial would end so
            else:
                self._end(number, TrialState.INFEASIBLE, f"{WRONG_INPUT}{message.cause}")
            return False
        self._end(number, _ENDS[message.kind], message.cause)
        if message.kind is Said.BUG or (message.kind is Said.PROGRAM_FAILED and self._never_worked()):
            self._on_bug(self._ledger.trial(number))
        return False

    def replay(self, epochs_of: Callable[[TrialRecord], int | None]) -> None:
        """Give early stopping the ledger's reports again, and end trials whose end was decided but not written.

        Args:
            epochs_of: Epochs of a full run of a trial; None where only its training knows, which then says so again.
        """
        trials = {trial.number: trial for trial in self._ledger.trials()}
        stopped: set[int] = set()
        for report in self._ledger.reports():
            trial = trials[report.trial]
            if trial.state.final:
                self._remember(trial, report.epoch, report.metrics)
            elif self._stops(trial, report.epoch, report.metrics):
                stopped.add(report.trial)
        for trial in trials.values():
            if trial.state.final or trial.epoch == 0:
                continue
            metrics, epochs = self._ledger.report_at(trial.number, trial.epoch).metrics, epochs_of(trial)
            last = epochs is not None and trial.epoch >= epochs
            if end := _end_after(metrics, last, trial.number in stopped):
                self._end(trial.number, *end)

    def _never_worked(self) -> bool:
        trials = self._ledger.trials()
        failed = sum(trial.state is TrialState.FAILED for trial in trials)
        return failed >= _NEVER_WORKED and not any(trial.epoch for trial in trials)

    def _report(self, number: int, message: Message) -> bool:
        if not self._objectives_reported(number, message) or not self._bounds_reported(number, message):
            return False
        fresh = self._ledger.report(number, message.epoch, message.metrics)
        # A report that the ledger had already was judged then.
        stopped = fresh and self._stops(self._ledger.trial(number), message.epoch, message.metrics)
        if end := _end_after(message.metrics, message.epoch >= message.epochs, stopped):
            self._end(number, *end)
        return end is None

    def _objectives_reported(self, number: int, message: Message) -> bool:
        """Whether the objectives are reported. A name that no trial, or no control so named, knows is wrong input."""
        missing = next((o.metric for o in self._ledger.objectives if o.metric not in message.metrics), None)
        if missing is None:
            return True
        known, control = suggest(missing, message.metrics, "reported are"), self._ledger.trial(number).control
        if control is None and any(trial.epoch for trial in self._ledger.trials() if trial.control is None):
            # Others did report it.
            self._end(number, TrialState.FAILED, f"objective {missing} is not reported; {known}")
            self._on_bug(self._ledger.trial(number))
        else:
            who = f"trial {number}" if control is None else f"control {control!r} (trial {number})"
            self._shutdown.at_once(
                InputError(
                    f"objective: every trial must report the metric {missing!r}, and {who} does not; {known}. Correct "
                    "the space, and start it under another --name"
                )
            )
        return False

    def _bounds_reported(self, number: int, message: Message) -> bool:
        """Whether bounds are on metrics that trials report. A name that none of them knows is an error of the input."""
        if self._ledger.trial(number).control is not None:
            return True
        for place, bound in enumerate(self._ledger.bounds):
            if bound.metric in message.metrics:
                continue
            outcomes = [
                trial.outcomes[place] for trial in self._ledger.trials() if trial.outcomes and not trial.control
            ]
            if all(math.isnan(outcome.value) for outcome in outcomes):
                known = suggest(bound.metric, message.metrics, "reported are")
                self._shutdown.at_once(
                    InputError(
                        f"outcomes: bounds are on metrics that trials report with every epoch, and trial {number} does "
                        f"not report {bound.metric!r}; {known}. Correct the space, and start it under another --name"
                    )
                )
                return False
        return True

    def _stops(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> bool:
        if trial.stage == CONTROLS or _non_finite(metrics):
            return False
        return self._stopping[trial.stage].stops(trial.number, epoch, self._value(metrics))

    def _remember(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        if trial.stage != CONTROLS and not _non_finite(metrics):
            self._stopping[trial.stage].remember(trial.number, epoch, self._value(metrics))

    def _value(self, metrics: dict[str, float]) -> Value:
        """What early stopping is told of a report."""
        values = [metrics[objective.metric] for objective in self._objectives]
        if len(values) == 1 and not self._ledger.bounds:
            return values[0]
        exceeded = (outcome.excess for outcome in outcomes_of(self._ledger.bounds, metrics))
        return Score(gains(values, self._objectives), sum(max(0.0, excess) for excess in exceeded))

    def _end(self, number: int, state: TrialState, cause: str | None = None) -> None:
        self._ledger.end(number, state, cause)
        self._remove_checkpoints(self._ledger.trial(number))


def _end_after(metrics: dict[str, float], last: bool, stopped: bool) -> tuple[TrialState, str | None] | None:
    """How a trial ends with a report, and why; None if it goes on."""
    if bad := _non_finite(metrics):
        return TrialState.DIVERGED, bad
    if last:
        return TrialState.FINISHED, None
    return (TrialState.STOPPED, None) if stopped else None


def _non_finite(metrics: dict[str, float]) -> str | None:
    bad = [f"{key} = {value}" for key, value in metrics.items() if not math.isfinite(value)]
    return f"not finite: {', '.join(bad)}" if bad else None
