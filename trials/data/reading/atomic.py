"""RecBole's atomic files: `NAME.inter` and `NAME.item`, tab-separated, with typed headers (`item_id:token`)."""

from __future__ import annotations

from pathlib import Path

from searchplat.errors import DataError
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import join_items
from trials.data.reading.lines import LARGEST_RATING, LARGEST_TIME
from trials.data.reading.table import Table, read_header, read_table

TYPES = ("token", "token_seq", "float", "float_seq")


def read_atomic(inter: Path, item: Path | None = None) -> Interactions:
    """Read a pair of atomic files.

    Args:
        inter: Needs `user_id:token` and `item_id:token`; `rating:float` and `timestamp:float` are optional.
        item: Needs `item_id:token`; every other column becomes an attribute under its bare name.

    Raises:
        DataError: If a file breaks the format, with its line.

    Source: RecBole's documentation, "Atomic files".
    """
    table, columns = _read(inter, "a RecBole .inter file", ("user_id", "item_id"))
    users, items = table.tokens(columns["user_id"], "user"), table.tokens(columns["item_id"])
    refuse_alike(users.ids)
    known, attributes = (Ids("item"), {}) if item is None else _read_items(item)
    found = join_items(items.ids, items.codes, known, attributes, item)
    return Interactions(
        users_E=users.codes,
        items_E=found.items_E,
        # Some of its data sets have ratings below 0.
        ratings_E=table.numbers(columns["rating"], -LARGEST_RATING, LARGEST_RATING) if "rating" in columns else None,
        times_E=table.numbers(columns["timestamp"], 0.0, LARGEST_TIME) if "timestamp" in columns else None,
        item_keys=found.keys,
        attributes=found.attributes,
        warnings=found.warnings,
        unmet_items=found.unmet,
        user_keys=users.keys,
    )


def _read_items(path: Path) -> tuple[Ids, dict[str, list[str]]]:
    table, columns = _read(path, "a RecBole .item file", ("item_id",))
    ids = table.tokens(columns["item_id"])
    known = Ids("item")
    for row, code in enumerate(ids.codes.tolist()):
        line, key = table.first_line + row, ids.keys[code]
        if key in known:
            raise DataError(
                f"{path}:{line} item {key!r} must stand in one line only, as {known.place(key)}; take one out."
            )
        known.code(path, line, key)
    return known, {name: table.texts(column) for name, column in columns.items() if name != "item_id"}


def _read(path: Path, what: str, needed: tuple[str, ...]) -> tuple[Table, dict[str, int]]:
    """The table, and the place of each column by its bare name."""
    header = read_header(path, what, "\t")
    columns: dict[str, int] = {}
    for place, field in enumerate(header):
        name, _, kind = field.partition(":")
        if not name or kind not in TYPES:
            raise DataError(
                f"{path}:1 field {place + 1} must be name:type with a type of {', '.join(TYPES)}, got {field!r}."
            )
        if name in columns:
            raise DataError(f"{path}:1 column {name!r} must occur once.")
        columns[name] = place
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(f"{path}:1 must have the columns {', '.join(needed)}, got {', '.join(columns)}.")
    return read_table(path, what, "\t", header), columns
