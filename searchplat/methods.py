"""Finds methods and data sets through entry points; the platform itself names none.

A package of your own adds to these groups in its `pyproject.toml`; see "Add a method" in the README.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from searchplat.contract import DataSource, Method
from searchplat.errors import InputError

METHODS = "searchplat.methods"
DATASETS = "searchplat.datasets"


def method_names() -> tuple[str, ...]:
    """Names of all installed methods, sorted."""
    return _names(METHODS)


def dataset_names() -> tuple[str, ...]:
    """Names of all installed data sets, sorted."""
    return _names(DATASETS)


def load_method(name: str) -> Method:
    """Return an instance of the method `name`.

    Raises:
        InputError: If no installed package offers it, or its module cannot be imported.
    """
    method: Method = _load(METHODS, "method", name)()
    return method


def load_dataset(name: str) -> DataSource:
    """Return the data set `name`.

    Raises:
        InputError: If no installed package offers it, or its module cannot be imported.
    """
    dataset: DataSource = _load(DATASETS, "data set", name)
    return dataset


def _names(group: str) -> tuple[str, ...]:
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def _load(group: str, kind: str, name: str) -> Any:
    found: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=group)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise InputError(
            f"{kind} {name!r} is not installed; installed are: {known}. "
            f"A package offers one through the entry-point group {group!r}."
        )
    try:
        return found[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"{kind} {name!r} ({found[name].value}) cannot be imported: {error}") from error
