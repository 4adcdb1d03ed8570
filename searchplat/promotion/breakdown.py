"""A promotion's figures taken apart: by groups of users and targets, and what the lists of items are like.

Final trainings measure them in their one test besides what is asked for; those of before did not, and show nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchplat.contract.measures import BEYOND, GROUPS, USERS, of_targets
from searchplat.promotion.statistics import Spread
from searchplat.promotion.table import Row, Section, Table


@dataclass(frozen=True)
class Block:
    """A small table.

    Args:
        heading: What it shows, of which data.
        columns: Headings of the figures.
        rows: Label, and a figure for each column; None where it was not measured.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Spread | None, ...]], ...]


def by_group(table: Table, section: Section) -> list[Block]:
    """For every measure of targets a table whose columns are the groups; empty where nothing was measured."""
    blocks = []
    for metric in filter(of_targets, table.metrics):
        groups = [group for group in GROUPS if any(_figure(row, f"{group}/{metric}") for row in section.rows)]
        if groups:
            columns = tuple(f"{group} ({_size(section.rows, group)})" for group in groups)
            names = [f"{group}/{metric}" for group in groups]
            heading = f"{metric} by group of users, their number in brackets, {section.title}"
            blocks.append(Block(heading, columns, _rows(section, names)))
    return blocks


def beyond(section: Section) -> list[Block]:
    """What the lists of 10 are like; empty where nothing was measured."""
    names = [name for name in BEYOND if any(_figure(row, name) for row in section.rows)]
    heading = f"Beyond accuracy: lists of 10, {section.title}"
    return [Block(heading, tuple(names), _rows(section, names))] if names else []


def blocks(table: Table, *, groups: bool, lists: bool) -> list[Block]:
    """Those of all sections."""
    return [
        block
        for section in table.sections
        for block in (*(by_group(table, section) if groups else ()), *(beyond(section) if lists else ()))
    ]


def _rows(section: Section, names: Sequence[str]) -> tuple[tuple[str, tuple[Spread | None, ...]], ...]:
    return tuple((row.label, tuple(_figure(row, name) for name in names)) for row in section.rows)


def _figure(row: Row, name: str) -> Spread | None:
    return row.cells[name].spread if name in row.cells else row.further.get(name)


def _size(rows: Sequence[Row], group: str) -> str:
    """The same for every row that says it, as all were tested on the same users."""
    return next((f"{found.mean:,.0f}" for row in rows if (found := row.further.get(f"{group}/{USERS}"))), "?")
