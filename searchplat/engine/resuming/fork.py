"""What a fork takes over of another search: its trials that are as the new space would have them."""

from __future__ import annotations

from searchplat.engine.planning.past import Past, keep
from searchplat.engine.planning.seeds import OWN, SHARED, shared_seed
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.repeats import REPEATS, TRAINING, repeated
from searchplat.spec.model import SearchSpec

_META = "fork of"
_INFO = "forked_from"


def check_fork(source: SearchFolder, folder: SearchFolder) -> None:
    """See that a search can be begun from the trials of another, or was, and so can go on.

    Args:
        source: The other.
        folder: The fork's.

    Raises:
        InputError: If it cannot.
    """
    if not folder.exists():
        return source.check_exists()
    with folder.read() as ledger:
        origin = ledger.meta(_META) or next(
            (str(trial.info[_INFO]).partition("/")[0] for trial in ledger.trials() if _INFO in trial.info), None
        )
    if origin != source.name:
        is_ = "is no fork" if origin is None else f"is a fork of {origin!r}"
        raise InputError(
            f"--fork {folder.name}: that search exists and {is_}, so it is not one of {source.name!r}; choose another "
            f"NEWNAME, or go on with it by --name {folder.name} without --fork"
        )
    return None


def begin(spec: SearchSpec, past: Past, fork_of: SearchFolder | None, ledger: Ledger) -> None:
    """Write down what a new search has before its first trial: what it knows of others, and what it takes over."""
    keep(ledger, past)
    if fork_of is not None:
        ledger.set_meta(_META, fork_of.name)
        copy_search(fork_of, spec, ledger)


def copy_search(source: SearchFolder, spec: SearchSpec, ledger: Ledger) -> None:
    """As `copy_trials`, of the search in a folder."""
    with source.read() as old:
        copy_trials(old, source.name, ledger, spec)


def copy_trials(old: Ledger, name: str, ledger: Ledger, spec: SearchSpec) -> None:
    """Take over another search's finished trials that are points of the new space and whose values compare.

    Those of a stage with other users or another kind of seeds do not compare with those that are to come.

    Args:
        old: The ledger of search `name`.
        ledger: The new search's.
    """
    stages = {stage.name: stage for stage in spec.stages}
    seeds = {stage["name"]: stage.get("seeds", OWN) for stage in old.document().get("stages", ())}
    new: dict[int, int] = {}
    for trial in old.trials():
        stage = stages.get(trial.stage)
        if stage is None or trial.control is not None or not trial.state.final:
            continue
        if trial.data_fraction != stage.data_fraction or seeds.get(stage.name, OWN) != stage.seeds:
            continue
        training = int(trial.info.get(TRAINING, 0))
        if stage.seeds == SHARED and trial.seed != shared_seed(spec, training):  # the space's `seed` is another one
            continue
        info = {**trial.info, _INFO: f"{name}/{trial.number}"}
        if (first := repeated(trial)) is not None:
            if first not in new:
                continue
            info[REPEATS] = new[first]
        own = {key: value for key, value in trial.values.items() if key in spec.space.names}
        given = {key: value for key, value in trial.config.items() if key not in own}
        if spec.space.only(stage.over).refusals(own, given):
            continue
        copied = ledger.suggest(
            stage=trial.stage,
            method=trial.method,
            values=trial.values,
            config=trial.config,
            data_fraction=trial.data_fraction,
            seed=trial.seed,
            info=info,
            based_on=ledger.seq,
        )
        new[trial.number] = copied.number
        for report in old.reports(trial.number):
            ledger.report(copied.number, report.epoch, report.metrics)
        ledger.end(copied.number, trial.state, trial.cause)
