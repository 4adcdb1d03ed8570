"""Who is promoted: the best of a search, and all of its controls. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from searchplat.contract import Values
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.ranking import Ranking
from searchplat.spec.grammar import NAME


@dataclass(frozen=True)
class Candidate:
    """A configuration that is raced and trained in full.

    Args:
        name: `trial-17`, or the control's name.
        search_score: The first objective that it had in the search, or the one that it was chosen by.
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


def choose(ledger: Ledger, search: str, top: int, by: int | None = None) -> list[Candidate]:
    """The best `top` configurations of the search, as `Ranking.configurations`, then the best trial of each control.

    Args:
        by: The place of the only objective that counts; by default all do.

    Raises:
        SearchFailedError: If no trial ended with a value.
    """
    ranking = Ranking.of(ledger)
    best = ranking.configurations(top, by=by)
    if not best:
        raise SearchFailedError(
            f"search {search!r} has no trial that ended with a value; see why with: searchplat trials {search}"
        )
    controls = sorted(ranking.controls_by(by), key=lambda trial: trial.number)
    return [_candidate(trial, by or 0) for trial in [*best, *controls]]


def _candidate(trial: TrialRecord, by: int) -> Candidate:
    assert trial.objectives is not None
    return Candidate(
        name=trial.control or f"trial-{trial.number}",
        trial=trial.number,
        control=trial.control,
        method=trial.method,
        config=trial.config,
        search_score=trial.objectives[by],
        data_fraction=trial.data_fraction,
    )
