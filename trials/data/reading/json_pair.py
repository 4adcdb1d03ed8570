"""The pair of JSON files in which Amazon's 5-core data is often shared: sequences and item texts.

`NAME.inter.json` is `{user: [item, ...]}`, oldest first; `NAME.item.json` is `{item: {attribute: text}}`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from searchplat.errors import DataError
from trials.data.reading.encoding import read_bytes, text_of
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import join_items
from trials.data.reading.lines import strict_json


def read_json_pair(inter: Path, item: Path) -> Interactions:
    """Read the pair; there are no ratings and no times, the order is the list's.

    Raises:
        DataError: If a file is not JSON (with its line) or has another shape (with the key).
    """
    sequences = _load(inter, "{user: [item, ...]}")
    users, rated = Ids("user"), Ids("item")
    codes: list[int] = []
    lengths: list[int] = []
    for user, items in sequences.items():
        if not isinstance(items, list):
            raise DataError(f"{inter}: user {user!r} must have a list of items, got {type(items).__name__}.")
        users.code(inter, 0, user)
        lengths.append(len(items))
        codes.extend(rated.code(inter, 0, _item_key(inter, user, key)) for key in items)
    refuse_alike(users)
    known, attributes = _items(item)
    found = join_items(rated, np.array(codes, dtype=np.int64), known, attributes, item)
    users_E = np.repeat(np.arange(len(lengths), dtype=np.int64), np.array(lengths, dtype=np.int64))
    return Interactions(
        users_E, found.items_E, None, None, found.keys, found.attributes,
        warnings=found.warnings, unmet_items=found.unmet, user_keys=users.names,
    )  # fmt: skip


def _item_key(path: Path, user: str, key: Any) -> str:
    if isinstance(key, bool) or not isinstance(key, (int, str)) or key == "":
        raise DataError(f"{path}: user {user!r} must list items by number or name, got {key!r}.")
    return _text(path, f"user {user!r}", str(key))


def _items(path: Path) -> tuple[Ids, dict[str, list[str]]]:
    content = _load(path, "{item: {attribute: text}}")
    columns: dict[str, list[str]] = {}
    for row, (key, fields) in enumerate(content.items()):
        if not isinstance(fields, dict):
            raise DataError(f"{path}: item {key!r} must have an object of attributes, got {type(fields).__name__}.")
        for name, value in fields.items():
            column = columns.setdefault(name, [""] * len(content))
            column[row] = _attribute(path, key, name, value)
    return Ids.of("item", path, list(content), [0] * len(content)), columns


def _attribute(path: Path, key: str, name: str, value: Any) -> str:
    """A text, a number, null, or a list of these, as text."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_attribute(path, key, name, part) for part in value if not isinstance(part, list))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f"{path}: item {key!r} attribute {name!r} must be text, got {type(value).__name__}.")
    return _text(path, f"item {key!r} attribute {name!r}", str(value))


def _text(path: Path, place: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can spell half a surrogate pair
        raise DataError(f"{path}: {place} must be valid Unicode, got {text!r}.") from error
    return text


def _load(path: Path, shape: str) -> dict[str, Any]:
    data = read_bytes(path, f"a JSON file of the shape {shape}").replace(b"\r", b"\n")  # between JSON's words alike
    text = text_of(path, data)
    try:
        content = strict_json(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno} must be JSON of the shape {shape}: {error.msg}.") from error
    except RecursionError as error:
        raise DataError(f"{path} must be JSON of the shape {shape}, got deeper nesting.") from error
    except ValueError as error:
        raise DataError(f"{path} must be JSON of the shape {shape}: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must be JSON of the shape {shape}, got {type(content).__name__}.")
    for key in content:
        _text(path, "a key", key)
    return content
