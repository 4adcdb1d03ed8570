"""What a table's searches and promotions have come to: a row for each system that is there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchplat.contract import Published
from searchplat.errors import InputError
from searchplat.ledger.folder import SearchFolder
from searchplat.methods import load_method
from searchplat.promotion.compared import compared
from searchplat.promotion.statistics import Spread
from searchplat.promotion.table import Row as Final
from searchplat.promotion.table import Section, Table
from searchplat.tables.filling import promoted, refuse_others
from searchplat.tables.plan import Entry, TablePlan


@dataclass(frozen=True)
class Figure:
    """A cell: over seeds, and its place among the rows, from 1."""

    spread: Spread
    place: int


@dataclass(frozen=True)
class Row:
    """A system.

    Args:
        figures: By metric; none where it was not measured.
        trials: Of its search that ended; None for what has no search.
        search_seconds: Of training and evaluation by them together.
        final_seconds: Of a final training, in the mean.
        parameters: Trained ones; None where not known.
        p: That the best row of the table's metric is no other, two-sided, paired over users, corrected by Holm; None
            for the best row itself, and for rows without a search.
        difference: From the best row, in the mean over users.
        paper: What its paper prints for data of this name, nearest in its number of users.
    """

    name: str
    method: str
    figures: Mapping[str, Figure]
    seeds: int
    trials: int | None
    search_seconds: float | None
    final_seconds: float
    parameters: int | None
    p: float | None
    difference: float | None
    paper: Published | None


@dataclass(frozen=True)
class Filling:
    """A table as it stands.

    Args:
        rows: The best by the table's metric first.
        missing: Systems without a row yet.
        data, users, ranked: The data set, its test users, and which items targets were ranked among, in words.
    """

    plan: TablePlan
    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    data: str
    users: int
    ranked: str


def read_rows(table: TablePlan, root: Path) -> Filling:
    """All rows that are there, the best by the table's metric first.

    Raises:
        InputError: If a search of a system's name is damaged or not the table's, or the systems were tested on
            different users.
    """
    refuse_others(table, root)
    there = [entry for entry in table.entries if promoted(SearchFolder(root, entry.search), entry)]
    missing = tuple(entry.name for entry in table.entries if entry not in there)
    data = table.entries[0].spec.data.name
    if not there:
        return Filling(table, (), missing, data, 0, "")
    searches = [entry.search for entry in there]
    best = _best(compared(root, searches), table.metric)
    found = compared(root, searches, against=[best.label])
    (section, *others) = found.sections
    if others:
        names = ", ".join(row.search for one in others for row in one.rows)
        raise InputError(
            f"table {table.name}: all systems must be tested on the same users and among the same items, but not so "
            f"were {names}; promote these again, or take them out"
        )
    entries = {entry.search: entry for entry in there}
    winners = [final for final in section.rows if final.role == "winner"]
    controls = {final.method: final for final in reversed(section.rows) if final.role != "winner"}  # each once
    rows = [
        _row(final, entries[final.search] if final.role == "winner" else None, found, section, table.metric, best, root)
        for final in (*winners, *controls.values())
    ]
    rows.sort(key=lambda row: row.figures[table.metric].place if table.metric in row.figures else len(rows) + 1)
    return Filling(table, tuple(rows), missing, section.data, section.users, section.ranked)


def _best(table: Table, metric: str) -> Final:
    rows = [row for section in table.sections for row in section.rows if metric in row.cells]
    return max(rows, key=lambda row: row.cells[metric].spread.mean)


def _row(
    final: Final, entry: Entry | None, table: Table, section: Section, metric: str, best: Final, root: Path
) -> Row:
    cell = final.cells.get(metric)
    against = [one for one in (cell.comparisons if cell else ()) if one.reference == best.label]
    trials = seconds = None
    if entry is not None:
        with SearchFolder(root, entry.search).read() as ledger:
            ended = [trial for trial in ledger.trials() if trial.control is None and trial.state.final]
        trials, seconds = len(ended), sum(trial.seconds for trial in ended)
    return Row(
        name=final.method if entry is None else entry.name,
        method=final.method,
        figures={name: Figure(one.spread, one.place) for name, one in final.cells.items()},
        seeds=len(final.seeds),
        trials=trials,
        search_seconds=seconds,
        final_seconds=final.seconds,
        parameters=final.parameters,
        p=against[0].holm[table.test] if against else None,
        difference=against[0].difference if against else None,
        paper=_paper(section, final.method),
    )


def _paper(section: Section, method: str) -> Published | None:
    try:
        own = tuple(getattr(load_method(method), "published", ()))
    except InputError:
        return None
    return own_row([one for one in (*section.published, *section.other_data) if one in own], method, section.users)


def own_row(printed: Sequence[Published], method: str, users: int) -> Published | None:
    """What a paper prints of a method itself, where it prints others' rows too: data with about as many users first."""
    named = [one for one in printed if _plain(method) in _plain(one.method)]
    return min(named, key=lambda one: abs((one.users or 0) - users), default=None)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
