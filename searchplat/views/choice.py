"""Which trials are shown as the best, and what is said of one outside a screen: for commands and for Python alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import broken_document
from searchplat.ledger.ranking import place_of
from searchplat.ledger.repeats import repeated
from searchplat.searchers.contract import TrialState
from searchplat.views import Sort
from searchplat.views.snapshot import Snapshot


def best_trials(
    snapshot: Snapshot, most: int | None = None, *, stage: str | None = None, by: str | None = None
) -> list[TrialRecord]:
    """The best trials that compare, best first; none before the first value. See `ledger.ranking`.

    Args:
        most: How many at most, >= 1; all by default.
        stage: Of this stage alone.
        by: The only objective that counts; by default all do, and the Pareto front comes first.

    Raises:
        InputError: If there is no such stage or objective.
    """
    known = [one.name for one in snapshot.spec.stages]
    if stage is not None and stage not in known:
        raise InputError(f"--stage: must be one of {', '.join(known)}, got {stage!r}; correct the name")
    return snapshot.ranking.best(most, stage=stage, by=place_of(snapshot.spec.objectives, by))


def chosen(snapshot: Snapshot, stage: str | None, state: str | None) -> list[TrialRecord]:
    """The trials of a stage, or in a state; all by default.

    Raises:
        InputError: If there is no such stage or state.
    """
    stages = [one.name for one in snapshot.stages]
    if stage is not None and stage not in stages:
        raise InputError(f"--stage: must be one of {', '.join(stages)}, got {stage!r}; correct the name")
    if state is not None and state not in list(TrialState):
        raise InputError(f"--state: must be one of {', '.join(TrialState)}, got {state!r}; correct the name")
    return [
        trial
        for trial in snapshot.trials
        if (stage is None or trial.stage == stage) and (state is None or trial.state == state)
    ]


def in_order(trials: Sequence[TrialRecord], sort: Sort, snapshot: Snapshot) -> list[TrialRecord]:
    """Trials as a list of them is sorted."""
    if sort is Sort.seconds:
        return sorted(trials, key=lambda trial: -trial.seconds)
    if sort is Sort.state:
        return sorted(trials, key=lambda trial: (trial.state, trial.number))
    if sort is Sort.value:
        # Behind those that compare, the stages whose trials do not, the last first; then what has no rank.
        places: dict[int, int] = {}
        for stage in (None, *(one.name for one in reversed(snapshot.spec.stages))):
            for trial in snapshot.ranking.best(stage=stage):  # repeats stand behind what they repeat
                for number in snapshot.ranking.trainings[trial.number].numbers:
                    places.setdefault(number, len(places))
        return sorted(trials, key=lambda trial: (places.get(trial.number, len(places)), trial.number))
    return list(trials)


def no_best(snapshot: Snapshot, stage: str | None = None) -> SearchFailedError:
    """The error where a best trial is asked for, and none ended with a value."""
    where = f"stage {stage!r} of search" if stage else "search"
    return SearchFailedError(
        f"{where} {snapshot.name!r} has no trial that ended with a value yet; see why with: {snapshot.hint('trials')}"
    )


def document(snapshot: Snapshot, trial: TrialRecord, marks: Mapping[int, bool]) -> dict[str, Any]:
    """A trial for scripts.

    `front` says whether it is on the Pareto front of the trials that compare; null for one objective, and for a trial
    that does not compare. `repeats` is the number of the trial whose configuration it trained again, null if of none.
    Of one that `best` ranks, `trainings` are the numbers of itself and its repeats, `deviation` their spread.
    `outcomes` are the bounded metrics, `broken` the bounds on them that it breaks, `feasible` whether it breaks none;
    null where the search has none, or it reported nothing yet.

    Args:
        marks: Of `Ranking.on_front`.
    """
    record = asdict(trial)
    record["state"] = trial.state.value
    objectives = trial.objectives
    record["objectives"] = None if objectives is None else dict(zip(snapshot.metrics, objectives, strict=True))
    record["outcomes"] = {one.bound.metric: None if math.isnan(one.value) else one.value for one in trial.outcomes}
    record["broken"] = broken_document(trial.broken)
    record["feasible"] = not trial.broken if trial.outcomes else None
    record["front"] = marks.get(trial.number)
    record["repeats"] = repeated(trial)
    found = snapshot.ranking.trainings.get(trial.number)
    several = found is not None and len(found.numbers) > 1
    record["trainings"] = list(found.numbers) if found is not None else [trial.number]
    record["deviation"] = dict(zip(snapshot.metrics, found.deviation, strict=True)) if found and several else None
    return record
