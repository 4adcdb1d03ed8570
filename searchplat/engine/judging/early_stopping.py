"""Rules that end trials before their last epoch: a rule is told of reports by trial numbers, and says who stops.

Both decide exactly as Ray Tune's schedulers of these names do, which `test_early_stopping.py` holds, so that results
stay what they were and papers' descriptions apply. Unlike those they need no Ray, no trial objects and no running
search: replaying a ledger's reports gives the same rungs as an uninterrupted search.

With several objectives, or bounds on outcomes, the same rules go by the order of the ranking; see `score`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict

import numpy as np

from searchplat.engine.judging.score import Score, Value, below, best, mean, numbers
from searchplat.spec.model import SchedulerSpec


class EarlyStopping(ABC):
    """A rule. It takes finite values only, all of one kind, each trial's epochs in ascending order."""

    @abstractmethod
    def stops(self, trial: int, epoch: int, value: Value) -> bool:
        """Take in one report; whether the trial is to stop now.

        Args:
            trial: Its number.
            epoch: Epochs completed, >= 1.
            value: Of the only objective; or a `Score`.
        """

    @abstractmethod
    def remember(self, trial: int, epoch: int, value: Value) -> None:
        """Take in one report of a trial that has ended, without asking what to do with it.

        Others are judged as if it had been asked. Judging takes time in proportion to the trials so far, which over
        the thousands of a long ledger adds up.
        """


def make_early_stopping(spec: SchedulerSpec, epochs: int, *, maximize: bool) -> EarlyStopping:
    """The rule of a stage.

    Args:
        epochs: Epochs of a full trial of the stage.
        maximize: Whether larger values of the only objective are better; scores say so themselves.
    """
    if spec.name == "asha":
        return Asha(epochs, grace=spec.grace, reduction=spec.reduction, maximize=maximize)
    if spec.name == "median":
        return Median(grace=spec.grace, min_trials=spec.min_trials, maximize=maximize)
    return Never()


class Never(EarlyStopping):
    """Every trial trains all its epochs."""

    def stops(self, trial: int, epoch: int, value: Value) -> bool:
        """Never."""
        return False

    def remember(self, trial: int, epoch: int, value: Value) -> None:
        """Nothing is needed of it."""


class Asha(EarlyStopping):
    """Asynchronous successive halving (Li et al., MLSys 2020) with one bracket.

    At each rung a trial goes on if it is not below the best `1/reduction` of the values seen at that rung before.

    Args:
        epochs: Of a full trial, at which every trial ends; >= 1.
        grace: Epochs that every trial gets: the first rung.
        reduction: The factor between rungs, and of trials that go on; > 1.
        maximize: Whether larger values are better.
    """

    def __init__(self, epochs: int, *, grace: int, reduction: float, maximize: bool) -> None:
        self._sign = 1.0 if maximize else -1.0
        self._share = 1 - 1 / reduction
        self._last = max(epochs, grace)  # a rung at or beyond it could stop nothing
        count = int(np.log(self._last / grace) / np.log(reduction) + 1)
        self.rungs: list[tuple[float, dict[int, Value]]] = [
            (grace * reduction**place, {}) for place in reversed(range(count))
        ]
        """From the last to the first: its epoch, and the value of each trial there, negated if smaller is better."""

    def stops(self, trial: int, epoch: int, value: Value) -> bool:
        """Whether it is below the cutoff of the highest rung that it has come to and not been judged at.

        True from the last epoch on, as Ray's rule says; whoever asks has such a trial as finished, not as stopped.
        """
        if epoch >= self._last:
            return True
        seen = self._rung(trial, epoch)
        if seen is None:
            return False
        before = list(seen.values())
        seen[trial] = _turned(value, self._sign)
        return below(seen[trial], before, self._share)

    def remember(self, trial: int, epoch: int, value: Value) -> None:
        """Its value counts at its rung."""
        if epoch < self._last and (seen := self._rung(trial, epoch)) is not None:
            seen[trial] = _turned(value, self._sign)

    def _rung(self, trial: int, epoch: int) -> dict[int, Value] | None:
        return next((seen for at, seen in self.rungs if epoch >= at and trial not in seen), None)


class Median(EarlyStopping):
    """Median stopping (Golovin et al., KDD 2017, section 3.2.2).

    A trial stops if its best value so far is worse than the median, over the other trials that have come as far, of
    their mean values up to this epoch.

    Args:
        grace: Epochs that every trial gets; earlier ones count in no mean.
        min_trials: Others that must have come as far.
        maximize: Whether larger values are better.
    """

    def __init__(self, *, grace: int, min_trials: int, maximize: bool) -> None:
        self._grace, self._min_trials = grace, min_trials
        self._sign = 1.0 if maximize else -1.0
        self._reports: dict[int, list[tuple[int, Value]]] = defaultdict(list)

    def stops(self, trial: int, epoch: int, value: Value) -> bool:
        """Whether its best is below the median of the others' means."""
        self.remember(trial, epoch, value)
        if epoch < self._grace:
            return False
        others = (reports for other, reports in self._reports.items() if other != trial and reports[-1][0] >= epoch)
        means = [mean(counted) for reports in others if (counted := self._counted(reports, epoch))]
        if len(means) < self._min_trials:
            return False
        own = best([value for _, value in self._reports[trial]])
        if isinstance(own, Score):
            return below(own, means, 0.5)
        return bool(own < np.median(numbers(means)))

    def remember(self, trial: int, epoch: int, value: Value) -> None:
        """Its value counts in its mean."""
        self._reports[trial].append((epoch, _turned(value, self._sign)))

    def _counted(self, reports: list[tuple[int, Value]], epoch: int) -> list[Value]:
        return [value for at, value in reports if self._grace <= at <= epoch]


def _turned(value: Value, sign: float) -> Value:
    """So that larger is better."""
    return value if isinstance(value, Score) else sign * value
