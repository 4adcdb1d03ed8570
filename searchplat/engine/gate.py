"""The gate between trials and Tune: what a trial says is written to the ledger, then judged, then acted on.

It is a Tune scheduler around the real ones (ASHA, median stopping), which never see a number that is not
finite, nor a control. The real ones are fed by trial numbers, so that replaying the ledger's reports gives
the same rungs as an uninterrupted search.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from searchplat.engine.actor import MESSAGE
from searchplat.engine.driver_only import DriverOnly
from searchplat.engine.halt import Halt
from searchplat.engine.plan import CONTROLS, Turn
from searchplat.engine.warm import look_after
from searchplat.engine.work import WRONG_INPUT, Message
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import SchedulerSpec, SearchSpec

_ENDS = {"infeasible": TrialState.INFEASIBLE, "timeout": TrialState.TIMEOUT, "bug": TrialState.FAILED}


@dataclass(frozen=True)
class _Seen:
    """What Tune's schedulers need of a trial: a hashable thing with an identifier."""

    trial_id: str


class EarlyStopping:
    """One stage's scheduler, fed by trial numbers.

    Args:
        spec: Which rule.
        epochs: Epochs of a full trial of this stage.
        metric: The first objective; only finite values may be fed.
    """

    def __init__(self, spec: SchedulerSpec, epochs: int, metric: str, maximize: bool) -> None:
        mode = "max" if maximize else "min"
        self._metric = metric
        self._known: set[int] = set()
        self._rule: TrialScheduler | None = None
        if spec.name == "asha":
            # A rung at or beyond the last epoch could stop nothing.
            self._rule = AsyncHyperBandScheduler(
                time_attr="epoch",
                metric=metric,
                mode=mode,
                max_t=max(epochs, spec.grace),
                grace_period=spec.grace,
                reduction_factor=spec.reduction,
            )
        elif spec.name == "median":
            self._rule = MedianStoppingRule(
                time_attr="epoch",
                metric=metric,
                mode=mode,
                grace_period=spec.grace,
                min_samples_required=spec.min_trials,
                min_time_slice=float("inf"),  # never pause a trial to let others catch up
                hard_stop=True,
            )

    def stops(self, trial: int, epoch: int, value: float) -> bool:
        """Take in one report; whether the rule stops the trial now."""
        if self._rule is None:
            return False
        return bool(self._rule.on_trial_result(*self._told(trial, epoch, value)) == TrialScheduler.STOP)

    def remember(self, trial: int, epoch: int, value: float) -> None:
        """Take in one report of a trial that has ended, without asking what to do with it.

        The others are judged as if it had been asked. Judging takes time in proportion to the trials so far, which
        over the thousands of a long ledger adds up.
        """
        if self._rule is None:
            return
        controller, seen, result = self._told(trial, epoch, value)
        if isinstance(self._rule, MedianStoppingRule):
            self._rule._results[seen].append(result)
            return
        bracket = self._rule._trial_info[seen.trial_id]
        bracket.cutoff = _no_cutoff
        self._rule.on_trial_result(controller, seen, result)
        del bracket.cutoff

    def _told(self, trial: int, epoch: int, value: float) -> tuple[None, _Seen, dict[str, Any]]:
        """What a rule is told of a report, once it knows of the trial."""
        assert self._rule is not None
        seen = _Seen(str(trial))
        if trial not in self._known:
            self._known.add(trial)
            self._rule.on_trial_add(None, seen)
        return None, seen, {"epoch": epoch, self._metric: value, "training_iteration": epoch}


class Gate(DriverOnly, FIFOScheduler):
    """The scheduler that Tune sees.

    Args:
        epochs: Epochs of a full trial, by stage name.
        number_of: The trial number behind Tune's trial identifier.
        on_change: Called after every change of a trial, with the trial.
        on_bug: Called with the trial whose code raised; the search is to stop.
        halt: Once it is asked for, a trial gives its worker back after its report and stays open in the ledger.
        outlook: Why no trial is handed out at the moment, other than for want of slots or suggestions; free slots.
    """

    def __init__(
        self,
        spec: SearchSpec,
        ledger: Ledger,
        epochs: dict[str, int],
        number_of: Callable[[str], int],
        on_change: Callable[[TrialRecord], None],
        on_bug: Callable[[TrialRecord], None],
        halt: Halt | None = None,
        outlook: Callable[[], tuple[Turn | None, int]] = lambda: (None, 0),
    ) -> None:
        super().__init__()
        self._halt = halt or Halt()
        self._outlook = outlook
        self._ledger = ledger
        self._number_of = number_of
        self._on_change, self._on_bug = on_change, on_bug
        objective = spec.objectives[0]
        self._metric = objective.metric
        self._searched = spec.space.names
        self._stopping = {
            stage.name: EarlyStopping(stage.scheduler, epochs[stage.name], objective.metric, objective.maximize)
            for stage in spec.stages
        }

    def replay(self, epochs_of: Callable[[TrialRecord], int]) -> None:
        """Feed the ledger's reports to the stages' rules, and end trials whose end was decided but not written.

        Args:
            epochs_of: Epochs of a full run of a trial.
        """
        trials = {trial.number: trial for trial in self._ledger.trials()}
        stopped: set[int] = set()
        for report in self._ledger.reports():
            trial = trials[report.trial]
            if trial.state.final:
                self._remember(trial, report.epoch, report.metrics)
            elif self._judge(trial, report.epoch, report.metrics):
                stopped.add(report.trial)
        for trial in trials.values():
            if trial.state.final or trial.epoch == 0:
                continue
            metrics = self._ledger.report_at(trial.number, trial.epoch).metrics
            if bad := _non_finite(metrics):
                self._end(trial.number, TrialState.DIVERGED, bad)
            elif trial.epoch >= epochs_of(trial):
                self._end(trial.number, TrialState.FINISHED)
            elif trial.number in stopped:
                self._end(trial.number, TrialState.STOPPED)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial was handed to Tune."""
        look_after(tune_controller)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """None in particular: Tune then takes those that were handed to it in their order, paused ones there are none.

        The usual answer, the first that is not running, takes a look at every trial there ever was, and has an idle
        process take the trial of one that is starting.
        """
        turn, _ = self._outlook()
        look_after(tune_controller).update(tune_controller, keep=self._to_keep, reserve=turn is None)

    def _to_keep(self) -> int:
        turn, room = self._outlook()
        return 0 if turn is Turn.LAST else room

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Write, judge, decide."""
        decision = TrialScheduler.STOP
        if self._halt.error is None:  # else nothing can be written: the checkpoint has what this trial reports
            with self._halt.guarding():
                decision = self._decide(trial, result)
        return str(TrialScheduler.STOP if self._halt.asked else decision)

    def _decide(self, trial: Any, result: dict[str, Any]) -> str:
        number = self._number_of(trial.trial_id)
        message = Message.from_json(result[MESSAGE])
        if message.kind == "later":
            raise TryAgainError(message.cause)
        if message.kind == "input":
            if not {*self._searched, *self._ledger.trial(number).values}.intersection(message.fields):
                self._halt.at_once(InputError(message.cause or ""))  # every other trial would end so
                return str(TrialScheduler.STOP)
            self._end(number, TrialState.INFEASIBLE, f"{WRONG_INPUT}{message.cause}")
            return str(TrialScheduler.STOP)
        if message.kind in _ENDS:
            self._end(number, _ENDS[message.kind], message.cause)
            if message.kind == "bug":
                self._on_bug(self._ledger.trial(number))
            return str(TrialScheduler.STOP)
        if missing := [o.metric for o in self._ledger.objectives if o.metric not in message.metrics]:
            reported = ", ".join(sorted(message.metrics))
            self._end(number, TrialState.FAILED, f"objective {missing[0]} is not reported; reported are: {reported}")
            self._on_bug(self._ledger.trial(number))
            return str(TrialScheduler.STOP)
        fresh = self._ledger.report(number, message.epoch, message.metrics)
        if bad := _non_finite(message.metrics):
            self._end(number, TrialState.DIVERGED, bad)
            return str(TrialScheduler.STOP)
        record = self._ledger.trial(number)
        # A report that the ledger had already was judged then.
        stop = fresh and self._judge(record, message.epoch, message.metrics)
        if message.epoch >= message.epochs:
            self._end(number, TrialState.FINISHED)
            return str(TrialScheduler.STOP)
        if stop:
            self._end(number, TrialState.STOPPED)
            return str(TrialScheduler.STOP)
        self._on_change(record)
        return str(TrialScheduler.CONTINUE)

    def _judge(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> bool:
        if trial.stage == CONTROLS or _non_finite(metrics):
            return False
        return self._stopping[trial.stage].stops(trial.number, epoch, metrics[self._metric])

    def _remember(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        if trial.stage != CONTROLS and not _non_finite(metrics):
            self._stopping[trial.stage].remember(trial.number, epoch, metrics[self._metric])

    def _end(self, number: int, state: TrialState, cause: str | None = None) -> None:
        self._ledger.end(number, state, cause)
        self._on_change(self._ledger.trial(number))


def _no_cutoff(recorded: dict[str, float]) -> None:
    """In place of a rung's cutoff: nothing is below it."""


def _non_finite(metrics: dict[str, float]) -> str | None:
    bad = [f"{key} = {value}" for key, value in metrics.items() if not math.isfinite(value)]
    return f"not finite: {', '.join(bad)}" if bad else None
