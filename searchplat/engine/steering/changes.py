"""What `set` may change of a search while it runs: how many trials, and how many at once. Neither changes a result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from searchplat.engine.planning.budgets import budgets
from searchplat.engine.planning.plan import Plan
from searchplat.errors import InputError
from searchplat.spec.errors import suggest

TRIALS, CONCURRENT = "trials", "concurrent"
_WORDS = "trials, stages.NAME.trials and concurrent"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_STAGE = re.compile(r"stages\.(.+)\.trials")


def read(items: Sequence[str]) -> dict[str, int | None]:
    """Changes from texts `key=number`.

    Raises:
        InputError: If one has another form, changes something else, or two change the same.
    """
    found: dict[str, int | None] = {}
    for item in items:
        key, sign, text = item.partition("=")
        key = key.removeprefix("resources.") if key == "resources.concurrent" else key
        if not sign:
            raise InputError(f"{item!r}: a change has the form key=number; write trials=200, say")
        if key not in (TRIALS, CONCURRENT) and stage_of(key) is None:
            raise InputError(
                f"{item!r}: {key!r} cannot be changed while a search runs, only {_WORDS} can; for another space "
                "start a new search from its trials: searchplat search SPACE --name SEARCH --fork NEWNAME"
            )
        if key in found:
            raise InputError(f"{item!r}: {key} is given twice; leave one out")
        if text == "null" and key == CONCURRENT:
            found[key] = None
        elif _NUMBER.fullmatch(text):
            found[key] = int(text)
        else:
            also = ", or null for as many as fit" if key == CONCURRENT else ""
            raise InputError(f"{item!r}: {key} must be a whole number >= 1{also}, got {text!r}")
    if not found:
        raise InputError(f"what to change is missing: {_WORDS} can; write trials=200, say")
    if TRIALS in found and len(found) > 1 + (CONCURRENT in found):
        raise InputError("trials is of all stages together, so it cannot be given with that of one; leave one out")
    return found


def stage_of(key: str) -> str | None:
    """The stage of `stages.NAME.trials`; None if the key is another."""
    found = _STAGE.fullmatch(key)
    return None if found is None else found[1]


def planned(changes: Mapping[str, int | None], plan: Plan) -> dict[str, int]:
    """The numbers of trials of all stages, once these changes are made.

    Raises:
        InputError: If a stage cannot have another number, or there is none of the name.
    """
    stages = {stage.name: stage for stage in plan.spec.stages}
    after = dict(plan.budgets)
    if (total := changes.get(TRIALS)) is not None:
        if total < len(stages):
            raise InputError(f"trials={total}: at least one for each of the {len(stages)} stages; ask for more")
        after = budgets(plan.spec, total)
    for key, number in changes.items():
        if (name := stage_of(key)) is None or number is None:
            continue
        if name not in stages:
            raise InputError(f"{key}={number}: there is no stage {name!r}; {suggest(name, list(stages))}")
        after[name] = number
    differing = [name for name in stages if after[name] != plan.budgets[name]]
    closed = {name: why for name in differing if (why := plan.settled(stages[name])) is not None}
    if closed and (TRIALS not in changes or len(closed) == len(differing)):
        reasons = "; ".join(f"stage {name} gets no more trials: {why}" for name, why in closed.items())
        raise InputError(f"{reasons}; extend another stage, or start a new search with --fork")
    return after
