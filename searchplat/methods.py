"""Finds methods and data sets through entry points; the platform itself names none.

A package of your own adds to these groups in its `pyproject.toml`; see "Add a method" in the README. A method may
also be named `module:attribute`, a class or a function, which runs whatever that module holds: only where
`--allow-import` was given. So is the method `command`, which runs whatever the space file says.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from searchplat.contract import DataSource, Method
from searchplat.errors import InputError

METHODS = "searchplat.methods"
DATASETS = "searchplat.datasets"
ALLOW_IMPORT = "--allow-import"

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)

# A leave of the process, like the firewall's seal: it holds for every thread, and each place that loads a method
# asks for it here, so that none can forget to pass it on.
_lock = threading.Lock()
_leaves = 0


def is_reference(name: str) -> bool:
    """Whether a method is named by its code, `module:attribute`.

    >>> is_reference("my.methods:Mine"), is_reference("darec"), is_reference("os:system('x')")
    (True, False, False)
    """
    return _REFERENCE.fullmatch(name) is not None


def imports_allowed() -> bool:
    """Whether methods named `module:attribute` may be loaded in this process now."""
    return _leaves > 0


def allow_imports() -> None:
    """Let methods named `module:attribute` be loaded in this process from now on."""
    global _leaves
    with _lock:
        _leaves += 1


@contextmanager
def imports() -> Iterator[None]:
    """Let methods named `module:attribute` be loaded within the block."""
    global _leaves
    allow_imports()
    try:
        yield
    finally:
        with _lock:
            _leaves -= 1


def check_leave(name: str, method: Method) -> None:
    """See that a method which runs what a space file says may do so.

    Raises:
        InputError: If it may not.
    """
    why = getattr(method, "needs_leave", None)
    if why is not None and not imports_allowed():
        raise InputError(f"method {name!r} {why}; give {ALLOW_IMPORT} if you trust that file and what it runs")


def asks_for_leave(name: str) -> bool:
    """Whether the method `name` runs only with `--allow-import`."""
    if is_reference(name):
        return True
    try:
        return getattr(load_method(name), "needs_leave", None) is not None
    except InputError:
        return False


def look_in(folder: Path, names: Iterable[str]) -> None:
    """Have the modules of methods named `module:attribute` found in a folder too, here and in processes begun later.

    Does nothing for modules that are found without it, nor without the leave to load them.
    """
    tops = {name.partition(":")[0].partition(".")[0] for name in names if is_reference(name)}
    place = os.path.abspath(folder)
    if not imports_allowed() or all(top in sys.modules or PathFinder.find_spec(top) for top in tops):
        return
    if place not in sys.path:
        sys.path.append(place)
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = place if not before else f"{before}{os.pathsep}{place}"


def method_names() -> tuple[str, ...]:
    """Names of all installed methods, sorted."""
    return _names(METHODS)


def dataset_names() -> tuple[str, ...]:
    """Names of all installed data sets, sorted."""
    return _names(DATASETS)


def load_method(name: str) -> Method:
    """Return an instance of the method `name`: that of an entry point, or `module:attribute` where that is allowed.

    A class is a method itself, a function becomes one.

    Raises:
        InputError: If no installed package offers it, or its module cannot be imported or may not be.
    """
    method: Method = _import(name) if is_reference(name) else _load(METHODS, "method", name)()
    return method


def load_dataset(name: str) -> DataSource:
    """Return the data set `name`.

    Raises:
        InputError: If no installed package offers it, or its module cannot be imported.
    """
    dataset: DataSource = _load(DATASETS, "data set", name)
    return dataset


@lru_cache(maxsize=8)
def _installed(group: str, look: Callable[..., Iterable[EntryPoint]], path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """The entry points of a group, by name: looking takes 10 ms or more, and every trial asks.

    Args:
        look: Finds them.
        path: Where packages are; another one may hold others.
    """
    return {entry.name: entry for entry in look(group=group)}


def _names(group: str) -> tuple[str, ...]:
    return tuple(sorted(_installed(group, entry_points, tuple(sys.path))))


def _load(group: str, kind: str, name: str) -> Any:
    found = _installed(group, entry_points, tuple(sys.path))
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


def _import(name: str) -> Method:
    if not imports_allowed():
        raise InputError(
            f"method {name!r} is not an installed one but names code to run; give {ALLOW_IMPORT} if you trust both "
            "that code and the file that names it"
        )
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a module may raise while it is read
        raise InputError(
            f"method {name!r} cannot be imported ({type(error).__name__}: {error}); its folder must be on PYTHONPATH "
            "or that of the space file, if one is read, or its package installed"
        ) from error
    if inspect.isfunction(found):
        from searchplat.programs.function import FunctionMethod  # which needs this module

        return FunctionMethod(name, found)
    if not isinstance(found, type) or not all(hasattr(found, part) for part in ("Config", "prepare", "start")):
        raise InputError(
            f"method {name!r} must be a class with Config, prepare and start, as the README tells, or a function "
            "train(config, report)"
        )
    method: Method = found()
    return method
