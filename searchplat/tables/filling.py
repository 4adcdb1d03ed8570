"""Runs what a table lacks: each system's search, then its promotion; what is done already is not begun again.

A table of hours is filled in several sittings: whatever ends one, the same command goes on from there, as a search and
a promotion by themselves do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchplat.api.running import watched
from searchplat.engine.places import Places
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger.folder import SearchFolder
from searchplat.promotion.candidates import Asked
from searchplat.promotion.promote import run_promotion
from searchplat.promotion.record import load_promotion, numbers
from searchplat.spec import diff, to_document
from searchplat.tables.plan import Entry, TablePlan

Say = Callable[[str], None]


@dataclass(frozen=True)
class Filled:
    """How a sitting ended.

    Args:
        complete: Whether every row is there.
        exit_code: 0, or that of what ended the sitting.
        failed: Systems without a row, and why.
    """

    complete: bool
    exit_code: int
    failed: tuple[str, ...] = ()


def fill(
    table: TablePlan,
    places: Places,
    say: Say,
    *,
    within_s: float | None = None,
    quiet: bool = False,
    allow_changed: bool = False,
    on_row: Callable[[], None] = lambda: None,
) -> Filled:
    """Search and promote what is missing, in the order of the file.

    Args:
        places: Where they run and what they write to.
        say: Told a line for every step.
        within_s: Seconds after which nothing more is begun; what is under way goes on to its end.
        quiet: Do not show the searches.
        allow_changed: Promote although data, code or packages are not those of a search.
        on_row: Called when a row has come.

    Raises:
        InputError: If there is a search of a system's name in another space, or on another budget; nothing is started.
            Or if the first search of the sitting is refused: the next would be too.
        TryAgainError: As searches and promotions raise it.
    """
    root = places.root
    refuse_others(table, root)
    began = time.monotonic()
    failed: list[str] = []
    begun = False
    asked = Asked(top=1, race=0, seeds=table.plan.seeds, test=table.plan.metrics)
    for place, entry in enumerate(table.entries, start=1):
        folder = SearchFolder(root, entry.search)
        where = f"{place} of {len(table.entries)}: {entry.name}"
        for step, done in (("search", searched(folder)), ("promotion", promoted(folder, entry))):
            if done:
                continue
            if within_s is not None and time.monotonic() - began > within_s:
                say(f"{where}: its {step} is left for the next sitting")
                return Filled(False, 0, tuple(failed))
            say(f"{where}, {step}")
            state: str
            try:
                if step == "search":
                    outcome = watched(entry.spec, sys.stdout, quiet=quiet, name=entry.search, places=places)
                    state, code, message = outcome.state, outcome.exit_code, outcome.message
                else:
                    promoting = run_promotion(
                        entry.search, asked=asked, allow_changed=allow_changed, places=places, say=say
                    )
                    state, code, message = promoting.state, promoting.exit_code, promoting.message
            except (SearchFailedError, InputError) as error:
                state, code, message = "failed", error.exit_code, str(error)
            if state == "interrupted":
                say(message)
                return Filled(False, code, tuple(failed))
            if state == "failed":
                if code == InputError.exit_code and step == "search" and not begun:
                    raise InputError(message)
                # One system's failure must not keep the others from their rows.
                say(f"{where}: {message}")
                failed.append(f"{entry.name}: {message}")
                break
            begun = True
            if step == "promotion":
                on_row()
    return Filled(not failed, 1 if failed else 0, tuple(failed))


def refuse_others(table: TablePlan, root: Path) -> None:
    """See that searches of the systems' names are theirs: a row must not show what another budget has found.

    Raises:
        InputError: If one was started in another space, or on another budget, or promoted otherwise.
    """
    for entry in table.entries:
        folder = SearchFolder(root, entry.search)
        if not folder.exists():
            continue
        with folder.read() as ledger:
            changes = diff(ledger.document(), to_document(entry.spec))
            was_promoted = bool(numbers(ledger))
        if searched(folder):  # which system's search has the table's controls is a matter of their order
            changes = [line for line in changes if not line.startswith("controls")]
        if was_promoted:
            changes += _promoted_otherwise(table, folder)
        if changes:
            lines = "\n  ".join(changes)
            raise InputError(
                f"table {table.name}: the search {entry.search!r} is there, but not as the table has it:\n  {lines}\n"
                f"Undo that in the table's file or the space, name the table or the system otherwise, or remove "
                f"{folder.path}"
            )


def searched(folder: SearchFolder) -> bool:
    """Whether a system's search has ended."""
    if not folder.exists():
        return False
    with folder.read() as ledger:
        newest = ledger.newest("closed", "opened")
    return newest is not None and newest.kind == "closed" and newest.payload.get("state") == "done"


def promoted(folder: SearchFolder, entry: Entry) -> bool:
    """Whether a system has all its final trainings."""
    if not folder.exists():
        return False
    with folder.read() as ledger:
        if not numbers(ledger):
            return False
    promotion = load_promotion(folder.path)
    winner = promotion.winner()
    return winner is not None and len(promotion.finals(winner.candidate)) >= entry.spec.promotion.seeds


def _promoted_otherwise(table: TablePlan, folder: SearchFolder) -> list[str]:
    """What a row lacks for this table, as its test split will not be opened again for it."""
    promotion = load_promotion(folder.path)
    found = []
    if lacking := [name for name in table.plan.metrics if name not in promotion.metrics]:
        found.append(f"metrics: tested by {', '.join(promotion.metrics)}, not by {', '.join(lacking)}")
    if (seeds := len({run.seed for run in promotion.runs if run.phase == "final"})) and seeds != table.plan.seeds:
        found.append(f"seeds: {seeds} -> {table.plan.seeds}")
    return found
