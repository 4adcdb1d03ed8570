"""A search that goes on under its own name in a wider space: what may change, and what is written down of it.

Its trials stay under their numbers, and what they were. So each must be a point of the new space, which would train it
exactly as it was trained; only then do old values and new ones compare, and every searcher may see old trials as points
of the new space. A parameter that is new to a trial has the value that the space states as its `default`, which is
written into the trial. The change is an event of the ledger, in one transaction with all that it changes.
Next: `opening`, which refuses any other change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from searchplat.contract import Values
from searchplat.engine.planning import budgets, closing
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.past import Past, keep
from searchplat.engine.planning.plan import RANK
from searchplat.engine.steering.requests import this_user
from searchplat.errors import InputError
from searchplat.ledger import Ledger, TrialRecord, lineage
from searchplat.ledger.database import to_text
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.widenings import WIDENED, widenings
from searchplat.searchers.points import snap
from searchplat.spec import diff, from_document, to_document
from searchplat.spec.building.stages import in_effect
from searchplat.spec.model import SearchSpec, StageSpec
from searchplat.spec.space import Float, Layout, Space

_SAME = ("method", "data", "objective", "seed")
"""Keys of a document without which values do not compare."""


@dataclass(frozen=True)
class Widening:
    """What is to change.

    Args:
        changes: Lines `key: old -> new`.
        points: Of trials to which a parameter is new, the whole values, by number.
        added: These parameters with their values.
        budgets: Whether the numbers of trials differ.
    """

    changes: tuple[str, ...]
    points: Mapping[int, Values]
    added: Mapping[str, Any]
    budgets: bool

    @property
    def shown(self) -> tuple[str, ...]:
        """The changes without what an axis that is new leaves at its default."""
        said_by_others = (" (order):", "(none) -> null", "(none) -> false", "(none) -> {}")
        return tuple(line for line in self.changes if not any(words in line for words in said_by_others))


def widening(folder: SearchFolder, spec: SearchSpec) -> Widening | None:
    """What has to change for a search to go on in a space; None if nothing.

    Raises:
        InputError: If it cannot go on in it, with the first trial that does not fit.
    """
    with folder.read() as ledger:
        document, new = ledger.document(), to_document(spec)
        changes = diff(document, new)
        if not changes:
            return None
        old = from_document(document)
        for key in _SAME:
            if document[key] != new[key]:
                rule = f"values of another {'data set' if key == 'data' else key} do not compare with its own"
                raise _refused(folder.name, rule, changes)
        points: dict[int, Values] = {}
        added: dict[str, Any] = {}
        for trial in ledger.trials():
            try:
                point = dict(trial.values) if trial.control else _point(trial, old, spec)
                _check_config(trial, point, old, spec)
            except _MisfitError as misfit:
                where = f"control {trial.control}" if trial.control else f"stage {trial.stage}"
                raise _refused(
                    folder.name, f"its trial {trial.number} ({where}) does not fit: {misfit}", changes
                ) from None
            if point != trial.values:
                points[trial.number] = point
                added |= {name: value for name, value in point.items() if name not in trial.values}
    trials = [{stage["name"]: stage["trials"] for stage in one["stages"]} for one in (document, new)]
    return Widening(tuple(changes), points, added, trials[0] != trials[1])


def widen(folder: SearchFolder, spec: SearchSpec, change: Widening, past: Past | None = None) -> None:
    """Write a widening down, whole or not at all; the caller holds the search's lock and has no ledger of it open.

    Args:
        past: What it knows of other searches from now on; None for what it knew.
    """
    with Ledger.open(folder.ledger_path) as ledger, ledger.transaction() as connection:
        for number, values in change.points.items():
            connection.execute("UPDATE trials SET assigned = ? WHERE number = ?", (to_text(values), number))
        document = ledger.document()
        before, after = (lineage.space_of(one) for one in (from_document(document), spec))
        ledger.set_meta(f"document:{len(widenings(ledger))}", json.dumps(document, sort_keys=True))
        ledger.set_meta("document", json.dumps(to_document(spec), sort_keys=True))
        lineage.rename_space(ledger, before, after)
        if past is not None:
            keep(ledger, past)
        for stage in spec.stages:
            closing.reopen(ledger, stage.name)
        if change.budgets:
            budgets.forget(ledger)
        by, trials = this_user(), ledger.next_number
        ledger.note(
            WIDENED,
            {
                "changes": list(change.changes), "by": by, "old": before, "new": after, "trials": trials,
                "added": dict(change.added),
                "said": f"widened by {by} after {trials} trials: {'; '.join(change.shown)}",
            },
        )  # fmt: skip


class _MisfitError(Exception):
    """Why a trial is not of the new space."""


def _point(trial: TrialRecord, old: SearchSpec, spec: SearchSpec) -> Values:
    """The trial as a point of the new space."""
    stage = next((one for one in spec.stages if one.name == trial.stage), None)
    if stage is None:
        raise _MisfitError(f"there is no stage {trial.stage} any more")
    _check_stage(next(one for one in old.stages if one.name == trial.stage), stage)
    space = spec.space.only(stage.over)
    given = {name: value for name, value in trial.config.items() if name not in stage.over}
    point: Values = {}
    for domain in space.domains:
        name = domain.name
        if name in trial.values:
            point[name] = trial.values[name]
            if name in old.space:
                _check_axis(old.space, space, name)
            if isinstance(domain, Float) and domain.refusal(point[name]) is None:
                near = float(snap(domain, point[name]))
                if abs(near - point[name]) > 1e-9 * max(abs(domain.low), abs(domain.high)):
                    raise _MisfitError(
                        f"{name}: must be {domain.low} plus a multiple of {domain.step}, got {point[name]}"
                    )
        elif space.active(domain, {**given, **point}):
            if name not in spec.fixed:
                had = f"; it was trained with {name}={trial.config[name]!r}" if name in trial.config else ""
                raise _MisfitError(f"it has no value of {name}, and the space states no default for it{had}")
            point[name] = spec.fixed[name]
    point |= {name: value for name, value in trial.values.items() if name not in point}
    own = {name: value for name, value in point.items() if name != RANK}
    if refusals := space.refusals(own, given):
        raise _MisfitError("; ".join(refusals))
    return point


def _check_stage(old: StageSpec, new: StageSpec) -> None:
    for name, was, now in (
        ("data_fraction", old.data_fraction, new.data_fraction),
        ("seeds", old.seeds, new.seeds),
        ("from", old.start_from, new.start_from),
        ("scheduler", old.scheduler, new.scheduler),
    ):
        if was != now:
            raise _MisfitError(f"stage {old.name} had another {name}, under which trials do not compare")


def _check_axis(old: Space, new: Space, name: str) -> None:
    before, after = old[name], new[name]
    if type(before) is not type(after):
        raise _MisfitError(f"{name}: is an axis of another type")
    if isinstance(before, Layout) and isinstance(after, Layout):
        shapes = [(one.layers, one.roles, one.choices) for one in (before, after)]
        if shapes[0] != shapes[1]:
            raise _MisfitError(f"{name}: has other layers, roles or choices, so its bits mean something else")


def _check_config(trial: TrialRecord, point: Values, old: SearchSpec, spec: SearchSpec) -> None:
    """See that the new space would train the trial as it was trained."""
    fixed: Values = {}
    if trial.control is not None:
        known = {one.name: one for one in spec.controls}
        if known.get(trial.control) != {one.name: one for one in old.controls}.get(trial.control):
            raise _MisfitError(f"the control {trial.control} is another one now, or gone")
        if trial.method == spec.method and known[trial.control].method is None:
            fixed = {**spec.fixed, **spec.stages[-1].fixed}
    else:
        stage = next(one for one in spec.stages if one.name == trial.stage)
        taken_over = in_effect(stage, spec.stages) - set(stage.over)
        fixed = {**spec.fixed, **stage.fixed}
        fixed |= {name: trial.config[name] for name in taken_over if name in trial.config}
    # An axis of the stage has the value of the point, or none.
    own = {name: value for name, value in point.items() if name != RANK}
    absent = set() if trial.control is not None else {name for name in stage.over if name not in own}
    fixed = {name: value for name, value in fixed.items() if name not in absent}
    try:
        config = full_config(trial.method, {**fixed, **own})
    except InputError as error:
        raise _MisfitError(str(error)) from None
    for name in dict.fromkeys((*trial.config, *config)):
        was, now = trial.config.get(name), config.get(name)
        # To a program, which had a default of its own.
        new_to_it = name not in trial.config and name in spec.space and name not in old.space
        if was != now and not new_to_it:
            raise _MisfitError(f"it was trained with {name}={was!r}, and would be with {name}={now!r}")


def _refused(search: str, rule: str, changes: list[str]) -> InputError:
    lines = "\n  ".join(changes)
    return InputError(
        f"search {search!r} cannot go on in this space: {rule}. Changed since it was started:\n  {lines}\n"
        "A space can be widened so far as each old trial is a point of it that would be trained as it was; to start a "
        "new search from those of its trials that are, use --fork NEWNAME in place of --widen."
    )
