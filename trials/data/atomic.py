"""RecBole's atomic files: `NAME.inter` and `NAME.item`, tab-separated, with typed headers (`item_id:token`)."""

from __future__ import annotations

from pathlib import Path

from searchplat.errors import DataError
from trials.data.interactions import Interactions, join_items
from trials.data.table import Table, read_header, read_table

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
    users, items = table.tokens(columns["user_id"]), table.tokens(columns["item_id"])
    keys: list[str] = []
    attributes: dict[str, list[str]] = {}
    if item is not None:
        keys, attributes = _read_items(item)
    codes_E, all_keys, attributes = join_items(items.codes, items.keys, keys, attributes)
    return Interactions(
        users_E=users.codes,
        items_E=codes_E,
        ratings_E=table.numbers(columns["rating"]) if "rating" in columns else None,
        times_E=table.numbers(columns["timestamp"]) if "timestamp" in columns else None,
        item_keys=all_keys,
        attributes=attributes,
    )


def _read_items(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    table, columns = _read(path, "a RecBole .item file", ("item_id",))
    ids = table.tokens(columns["item_id"])
    if len(ids.keys) != len(ids.codes):
        seen: set[int] = set()
        for row, code in enumerate(ids.codes.tolist()):
            if code in seen:
                line = table.first_line + row
                raise DataError(f"{path}:{line} item {ids.keys[code]!r} must stand in one line only.")
            seen.add(code)
    keys = [ids.keys[code] for code in ids.codes.tolist()]
    return keys, {name: table.texts(column) for name, column in columns.items() if name != "item_id"}


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
