"""What a person's files say of the items: a file with one a row, or a title beside each interaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trials.data.own.columns import open_columns
from trials.data.own.findings import Findings, Mask, missing
from trials.data.own.options import FileOptions
from trials.data.own.times import codes_and_texts
from trials.data.reading.ids import Ids
from trials.data.reading.interactions import Ints
from trials.data.reading.lines import shown

if TYPE_CHECKING:
    import pandas as pd

_ATOMIC_ID = "item_id"


@dataclass(frozen=True)
class Items:
    """Items in the order of their rows, and name -> a text for each."""

    ids: Ids
    attributes: dict[str, list[str]]

    def with_titles(self, titles: Mapping[str, str]) -> Items:
        """With titles by id, before all else."""
        return Items(self.ids, {"title": [titles.get(name, "") for name in self.ids.names], **self.attributes})


def read_items(data: Path | pd.DataFrame, options: FileOptions, item: str, findings: Findings) -> Items:
    """Items and attributes of a file; the title comes first.

    Args:
        item: What the interactions call the item's id.
        findings: Takes what is wrong.

    Raises:
        DataError: If it cannot be opened, or is no text.
    """
    wanted = options.items_id or item
    columns = open_columns(data, [wanted])
    key = _ATOMIC_ID if columns.atomic and options.items_id is None else wanted
    own = Findings(columns, np.zeros(0, dtype=bool))
    needed = {"item": key}
    if options.title is not None and options.title not in findings.columns.names:
        needed["title"] = options.title
    for sentence in missing(needed, columns.names):
        hint = "; items_id says what it is called here" if sentence.startswith(f"there is no column {key!r}") else ""
        own.whole(sentence + hint, fatal=True)
    if own.problems:
        findings.problems += own.problems
        return Items(Ids("item"), {})
    arrays = dict(zip(columns.names, columns.read(columns.names), strict=True))
    codes_E, names = codes_and_texts(arrays.pop(key))
    own = Findings(columns, np.zeros(len(codes_E), dtype=bool), list(columns.problems))
    own.ids(key, "item", codes_E, names)
    again_E = _later(codes_E) & ~own.bad_E
    own.rows(
        again_E,
        key,
        lambda row: f"item {shown(names[codes_E[row]])} must stand in one line only; take one out",
        fatal=True,
    )
    findings.problems += own.problems
    rows = np.flatnonzero(~own.bad_E)
    ids = Ids.of("item", columns.path, [names[code] for code in codes_E[rows]], columns.lines_E[rows].tolist())
    texts = {name: _texts(column, rows) for name, column in arrays.items()}
    return Items(ids, _title_first(texts, options.title))


def titles_of(column: Any, findings: Findings, name: str, items_E: Ints, kept: Mask, count: int) -> list[str]:
    """`[count]` each item's title as its first row that has one says it; other titles of the same item are noted.

    Args:
        items_E: Of the rows that are kept.
    """
    codes_E, texts = codes_and_texts(column)
    rows = np.flatnonzero(kept)
    codes_E = codes_E[rows]
    titled = np.array([bool(text.strip()) for text in texts], dtype=bool)[codes_E]
    first = np.full(count, -1, dtype=np.int64)
    first[items_E[titled][::-1]] = codes_E[titled][::-1]
    other = np.zeros(len(kept), dtype=bool)
    other[rows[titled & (codes_E != first[items_E])]] = True
    findings.rows(
        other,
        name,
        lambda row: f"an item has several titles, of which the first counts, got {shown(column[row].as_py())}",
        fatal=False,
    )
    return [texts[code] if code >= 0 else "" for code in first.tolist()]


def _later(codes_E: Ints) -> Mask:
    """Rows whose id an earlier row has."""
    later = np.ones(len(codes_E), dtype=bool)
    later[np.unique(codes_E, return_index=True)[1]] = False
    return later


def _texts(column: Any, rows: Ints) -> list[str]:
    codes_E, texts = codes_and_texts(column)
    return [texts[code] for code in codes_E[rows].tolist()]


def _title_first(texts: dict[str, list[str]], title: str | None) -> dict[str, list[str]]:
    if title is None or title not in texts:
        return texts if "title" not in texts else {"title": texts["title"], **texts}
    others = {name: column for name, column in texts.items() if name not in (title, "title")}
    return {"title": texts[title], **others}
