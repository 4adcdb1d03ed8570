"""From a person's file, or data frame, to interactions, with everything that is wrong with it.

`examine` finds, `read_own` refuses: the two know the same rules. `columns.py` reads the formats, `times.py` the times.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searchplat.contract import FileProblem
from searchplat.errors import DataError
from trials.data.own.columns import Columns, open_columns, refuse
from trials.data.own.findings import Findings, missing
from trials.data.own.items import Items, read_items, titles_of
from trials.data.own.options import FileOptions
from trials.data.own.times import codes_and_texts, read_times
from trials.data.reading.ids import Ids, in_order
from trials.data.reading.interactions import Interactions, Ints
from trials.data.reading.joined import join_items
from trials.data.reading.lines import LARGEST_RATING, shown

if TYPE_CHECKING:
    import pandas as pd

_ATOMIC = {"user": "user_id", "item": "item_id", "time": "timestamp", "rating": "rating"}
_TIMES = ("time", "timestamp", "date", "datetime", "created_at", "unixtime")


@dataclass(frozen=True)
class Examined:
    """What there is in a file.

    Args:
        interactions: Of the rows with nothing fatal; None if the columns could not be found.
        problems: All of them, fatal first.
        notes: How it was read, where that is not plain, a sentence each.
        rows: In the file.
    """

    interactions: Interactions | None
    problems: tuple[FileProblem, ...]
    notes: tuple[str, ...]
    rows: int


def read_own(data: Path | pd.DataFrame, options: FileOptions, items: Path | pd.DataFrame | None = None) -> Interactions:
    """Interactions of a file or a data frame; users and items are numbered as `reading.table` does it.

    Args:
        data: Interactions, one a row.
        options: Which columns are what; its paths are not looked at.
        items: What is known of the items, one a row.

    Raises:
        DataError: With everything that is wrong, a line each.
    """
    found = examine(data, options, items)
    refuse(found.problems)
    assert found.interactions is not None
    return found.interactions


def examine(data: Path | pd.DataFrame, options: FileOptions, items: Path | pd.DataFrame | None = None) -> Examined:
    """Read all that can be read, and note what is wrong; like `read_own`.

    Raises:
        DataError: If a file cannot be opened, or is no text.
    """
    named = {key: getattr(options, key) for key in ("user", "item", "time", "rating", "title")}
    columns = open_columns(data, [name for name in named.values() if name], options.separator, options.columns)
    if columns.atomic:
        named |= {
            key: name
            for key, name in _ATOMIC.items()
            if named[key] is None and (name in columns.names or key in ("user", "item"))
        }
    if items is not None:
        named["title"] = None  # of the items, unless only the interactions have it
        if options.title is not None and options.title in columns.names:
            named["title"] = options.title
    needed = {key: name for key, name in named.items() if key in ("user", "item") or name is not None}
    absent = missing(needed, columns.names)
    findings = Findings(columns, np.zeros(0, dtype=bool))
    if absent:
        for sentence in absent:
            findings.whole(sentence, fatal=True)
        return Examined(None, tuple(findings.problems), (), 0)
    keys = list(needed)
    arrays = dict(zip(keys, columns.read([str(needed[key]) for key in keys]), strict=True))
    return _examined(columns, {key: str(name) for key, name in needed.items()}, arrays, options, items)


def _examined(
    columns: Columns,
    named: dict[str, str],
    arrays: dict[str, Any],
    options: FileOptions,
    items: Path | pd.DataFrame | None,
) -> Examined:
    rows = len(arrays["user"])
    findings = Findings(columns, np.zeros(rows, dtype=bool), list(columns.problems))
    notes: list[str] = []
    coded = {}
    for key in ("user", "item"):
        coded[key] = _ids(arrays[key], findings, named[key], key)
    times_E = None
    if "time" in arrays:
        times_E, said = _times(arrays["time"], findings, named["time"], options.time_format)
        notes += said
    else:
        notes.append(_without_times(columns))
    ratings_E = _ratings(arrays["rating"], findings, named["rating"]) if "rating" in arrays else None
    kept = ~findings.bad_E
    users, users_E = _numbered(columns, "user", *coded["user"], kept)
    met, met_E = _numbered(columns, "item", *coded["item"], kept)
    known = Items(Ids("item"), {})
    if items is not None:
        known = read_items(items, options, named["item"], findings)
    if "title" in arrays and "title" not in known.attributes:
        titles = titles_of(arrays["title"], findings, named["title"], met_E, kept, len(met))
        own = dict(zip(met.names, titles, strict=True))
        known = known.with_titles(own) if items is not None else Items(met, {"title": titles})
    try:
        joined = join_items(met, met_E, known.ids, known.attributes, items if isinstance(items, Path) else None)
    except DataError as error:
        if not any(problem.fatal for problem in findings.problems):
            findings.problems.append(FileProblem(str(columns.path), (), None, str(error), 1, True))
        return Examined(None, _ordered(findings.problems), tuple(notes), rows)
    if rows and not kept.any() and not any(problem.fatal for problem in findings.problems):
        findings.whole("no row can be read", fatal=True)
    found = Interactions(
        users_E=users_E,
        items_E=joined.items_E,
        ratings_E=None if ratings_E is None else ratings_E[kept],
        times_E=None if times_E is None else times_E[kept],
        item_keys=joined.keys,
        attributes=joined.attributes,
        warnings=(
            *joined.warnings,
            *notes,
            *(problem.sentence() for problem in findings.problems if not problem.fatal),
        ),
        unmet_items=joined.unmet,
        user_keys=users.names,
    )
    return Examined(found, _ordered(findings.problems), (*notes, *joined.warnings), rows)


def _ids(column: Any, findings: Findings, name: str, what: str) -> tuple[Ints, list[str]]:
    import pyarrow as pa

    if pa.types.is_floating(column.type) or not _nameable(column.type):
        wrong = column.is_valid().to_numpy(zero_copy_only=False)
        rule = f"{what} ids must be texts or whole numbers, got the type {column.type}; store them as one of these"
        findings.rows(wrong, name, lambda row: rule, fatal=True)
    codes_E, names = codes_and_texts(column)
    findings.ids(name, what, codes_E, names)
    return codes_E, names


def _nameable(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _times(column: Any, findings: Findings, name: str, format_: str | None) -> tuple[Any, list[str]]:
    found = read_times(column, format_)
    form = f"as {format_!r}" if format_ else "a number since 1970 or a date such as 2024-01-31 18:00:00"
    remedy = "" if format_ else "; other ways of writing need time_format, as '%d/%m/%Y %H:%M'"
    findings.rows(
        np.isnan(found.seconds_E),
        name,
        lambda row: f"time must be written {form}, got {shown(column[row].as_py())}{remedy}",
        fatal=True,
    )
    return found.seconds_E, [f"time: {found.said}"] if found.said else []


def _without_times(columns: Columns) -> str:
    there = next((name for name in columns.names if name.casefold().strip() in _TIMES), None)
    hint = f"; it has a column {there!r}, which `time: {there}` would take" if there else ""
    return f"{columns.path.name}: no time is named, so the order of the lines is the order in time{hint}"


def _ratings(column: Any, findings: Findings, name: str) -> Any:
    import pandas as pd

    codes_E, texts = codes_and_texts(column)
    ratings = pd.to_numeric(pd.Series(texts, dtype="str"), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    ratings_E = ratings[codes_E]
    findings.rows(
        ~(np.abs(ratings_E) <= LARGEST_RATING),
        name,
        lambda row: f"rating must be a number within {LARGEST_RATING:g} of 0, got {shown(column[row].as_py())}",
        fatal=True,
    )
    return ratings_E


def _numbered(columns: Columns, what: str, codes_E: Ints, names: list[str], kept: Any) -> tuple[Ids, Ints]:
    """Ids of the rows that are kept, in order, and each row's number."""
    codes_E = codes_E[kept]
    first = np.full(len(names), -1, dtype=np.int64)
    first[codes_E[::-1]] = np.flatnonzero(kept)[::-1]  # of several rows the last that is written, the first, stays
    there = {names[code]: code for code in np.flatnonzero(first >= 0).tolist()}
    keys = in_order(there)
    number = np.zeros(len(names), dtype=np.int64)
    codes = [there[key] for key in keys]
    number[codes] = np.arange(len(keys))
    lines = columns.lines_E[first[codes]].tolist() if codes else []
    return Ids.of(what, columns.path, keys, lines), number[codes_E]


def _ordered(problems: list[FileProblem]) -> tuple[FileProblem, ...]:
    return tuple(sorted(problems, key=lambda problem: not problem.fatal))
