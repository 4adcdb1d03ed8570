"""The trials of one search in memory, with what is asked of them at every turn counted already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from searchplat.ledger.records import TrialRecord
from searchplat.searchers.contract import PastTrial


class TrialTable:
    """Trials by number. Open ones, counts and what searchers see are kept up to date, for thousands of trials.

    Args:
        trials: In the order of their numbers.
    """

    def __init__(self, trials: Iterable[TrialRecord] = ()) -> None:
        self._trials: dict[int, TrialRecord] = {}
        self._open: dict[int, TrialRecord] = {}
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._past: dict[str, list[PastTrial]] = {}
        self._places: dict[int, int] = {}  # trial number -> its place in its stage's list
        for trial in trials:
            self.put(trial)

    @property
    def next_number(self) -> int:
        """The next free number."""
        return next(reversed(self._trials), -1) + 1

    def put(self, trial: TrialRecord) -> None:
        """Add a trial under the next number, or change one."""
        new = trial.number not in self._trials
        self._trials[trial.number] = trial
        if trial.state.final:
            self._open.pop(trial.number, None)
        else:
            self._open[trial.number] = trial
        if new:
            self._counts[trial.stage, trial.control] += 1
        if trial.control is None:
            own = self._past.setdefault(trial.stage, [])
            if new:
                self._places[trial.number] = len(own)
                own.append(_past(trial))
            else:
                own[self._places[trial.number]] = _past(trial)

    def __contains__(self, number: int) -> bool:
        return number in self._trials

    def __getitem__(self, number: int) -> TrialRecord:
        return self._trials[number]

    def __len__(self) -> int:
        return len(self._trials)

    def all(self) -> list[TrialRecord]:
        """All of them, in the order of their numbers."""
        return list(self._trials.values())

    def open(self) -> list[TrialRecord]:
        """Those that have not ended, in the order of their numbers."""
        return [self._open[number] for number in sorted(self._open)]

    def count(self, stage: str, control: str | None = None) -> int:
        """Trials of a stage that are no controls, or of one control."""
        return self._counts[stage, control]

    def past(self, stage: str) -> tuple[PastTrial, ...]:
        """What a searcher of the stage may see: its trials, without controls."""
        return tuple(self._past.get(stage, ()))


def _past(trial: TrialRecord) -> PastTrial:
    return PastTrial(
        trial.number, trial.values, trial.state, trial.objectives, trial.seconds, trial.suggested_at, trial.based_on,
        trial.ended_at, tuple(outcome.excess for outcome in trial.outcomes),
    )  # fmt: skip
