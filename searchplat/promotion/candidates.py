"""Who is promoted: the best of a search, and all of its controls. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from searchplat.contract import Values
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.spec.grammar import NAME


@dataclass(frozen=True)
class Candidate:
    """A configuration that is raced and trained in full.

    Args:
        name: `trial-17`, or the control's name.
        search_score: The first objective that it had in the search.
        data_fraction: Share of the users that the search trained it on.

    Raises:
        InputError: If the name could lead out of a folder.
    """

    name: str
    trial: int
    control: str | None
    method: str
    config: Values
    search_score: float
    data_fraction: float

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):  # folders are named after it, and a ledger may come from elsewhere
            raise InputError(f"candidate {self.name!r}: a name must match {NAME}; searchplat did not write this ledger")


def choose(ledger: Ledger, search: str, top: int) -> list[Candidate]:
    """The top `top` configurations of the search, the best first, then the best trial of each control.

    Trials of a stage on another share of the users than the last one do not compare and are left out; of trials
    with equal configurations the best one stands for all.

    Raises:
        SearchFailedError: If no trial ended with a value.
    """
    best: list[TrialRecord] = []
    for trial in comparable(ledger.ranking()):
        if len(best) < top and all(other.config != trial.config for other in best):
            best.append(trial)
    if not best:
        raise SearchFailedError(
            f"search {search!r} has no trial that ended with a value; see why with: searchplat trials {search}"
        )
    controls: dict[str, TrialRecord] = {}
    for trial in ledger.ranking(controls=True):
        assert trial.control is not None
        controls.setdefault(trial.control, trial)
    return [_candidate(trial) for trial in [*best, *sorted(controls.values(), key=lambda trial: trial.number)]]


def comparable(ranking: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials on the share of the users that the latest trial has."""
    if not ranking:
        return []
    fraction = max(ranking, key=lambda trial: trial.number).data_fraction
    return [trial for trial in ranking if trial.data_fraction == fraction]


def _candidate(trial: TrialRecord) -> Candidate:
    assert trial.objectives is not None
    return Candidate(
        name=trial.control or f"trial-{trial.number}",
        trial=trial.number,
        control=trial.control,
        method=trial.method,
        config=trial.config,
        search_score=trial.objectives[0],
        data_fraction=trial.data_fraction,
    )
