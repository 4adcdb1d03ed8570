"""Who is promoted, and how far: the best of a search, and all of its controls. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from searchplat import hints
from searchplat.contract import Values
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.outcomes import broken_words
from searchplat.ledger.ranking import Ranking
from searchplat.ledger.repeats import repeated
from searchplat.spec.grammar import NAME
from searchplat.spec.model import PromotionSpec


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


@dataclass(frozen=True)
class Sizes:
    """How large a promotion is.

    Args:
        race: Fresh seeds of each candidate at the search's scale; 0 for no race.
        seeds: Final trainings of each.
        epochs: Of a final training, at most; None for the configuration's own.
        by: The only objective that decides, where the search has several; None if all do.
        trials: Numbers of the trials to promote; None for the best.
    """

    top: int
    race: int
    seeds: int
    epochs: int | None
    patience: int
    data_fraction: float
    by: str | None = None
    trials: list[int] | None = None


@dataclass(frozen=True)
class Asked:
    """What a user asks of a promotion instead of what the space's `promotion:` says; None is the space's.

    Args:
        top: Configurations to promote.
        by: The only objective that decides; by default all do, and candidates are of the Pareto front.
        trials: Numbers of the trials to promote, instead of the best `top`.
        race, seeds, epochs: As those of `Sizes`.
        test: Metrics of the test split.

    Raises:
        InputError: If both `top` and `trials` are given.
    """

    top: int | None = None
    by: str | None = None
    trials: Sequence[int] | None = None
    seeds: int | None = None
    race: int | None = None
    epochs: int | None = None
    test: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.trials is not None and self.top is not None:
            raise InputError("--trial: says which trials are promoted, and --top how many; give one of the two")

    def sizes(self, block: PromotionSpec, by: str | None) -> Sizes:
        """How large the promotion is.

        Args:
            block: The space's.
            by: The metric that decides alone, where the search has several objectives.
        """
        trials = None if self.trials is None else list(dict.fromkeys(self.trials))
        return Sizes(
            top=len(trials) if trials is not None else block.top if self.top is None else self.top,
            race=block.race if self.race is None else self.race,
            seeds=block.seeds if self.seeds is None else self.seeds,
            epochs=block.epochs if self.epochs is None else self.epochs,
            patience=block.patience,
            data_fraction=block.data_fraction,
            by=by,
            trials=trials,
        )


AS_THE_SPACE = Asked()


def choose(
    ledger: Ledger, search: str, top: int, by: int | None = None, trials: Sequence[int] | None = None
) -> list[Candidate]:
    """The best `top` configurations of the search, as `Ranking.configurations`, then the best trial of each control.

    None that breaks a bound on outcomes is promoted.

    Args:
        by: The place of the only objective that counts; by default all do.
        trials: Numbers of the trials to take instead, in this order.

    Raises:
        InputError: If one of `trials` is none of the search's own that ended with a value and keeps all bounds.
        SearchFailedError: If no trial ended with a value, or none of those keeps the bounds on outcomes.
    """
    ranking = Ranking.of(ledger)
    see = hints.on_search("trials", search, ledger.path.parent.parent, *(["--sort", "value"] if trials else []))
    best = ranking.configurations(top, by=by) if trials is None else [_named(ranking, one, see) for one in trials]
    if not best:
        raise SearchFailedError(f"search {search!r} has no trial that ended with a value; see why with: {see}")
    if breaks := broken_words(best[0].broken):
        raise SearchFailedError(
            f"search {search!r} has no trial that keeps the bounds on outcomes; the nearest, trial {best[0].number}, "
            f"{breaks}. Search longer, or start a search with other bounds from its trials: --fork"
        )
    controls = sorted(ranking.controls_by(by), key=lambda trial: trial.number)
    return [_candidate(trial, by or 0) for trial in [*best, *controls]]


def _named(ranking: Ranking, number: int, see: str) -> TrialRecord:
    """The trial that `--trial` names.

    Args:
        see: The command that lists those that there are.
    """
    known = {trial.number: trial for trial in ranking.ranked}
    if (trial := known.get(number)) is not None and not trial.broken:
        return trial
    found = next((one for one in ranking.trials if one.number == number), None)
    if trial is not None:
        why = broken_words(trial.broken)
    elif found is None:
        why = "does not exist"
    elif found.control is not None:
        why = "is a control, and all of these are promoted in any case"
    elif (first := repeated(found)) is not None:
        why = f"repeats trial {first}; name that"
    else:
        why = f"has no value ({found.state})"
    raise InputError(f"--trial: trial {number} cannot be promoted: it {why}; see: {see}")


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
