"""The code that travels with a search to a cluster: searchplat, the methods' packages, and their entry points.

What the driver runs is what the workers run. Only code of ours and of the methods is sent, by Ray's runtime
environment, ahead of whatever a machine has installed under the same names; libraries must be there already.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from searchplat.ledger.lineage import code_of
from searchplat.methods import DATASETS, METHODS, load_method
from searchplat.programs.function import FunctionMethod

EXCLUDED = ["__pycache__", "*.pyc"]


def modules_of(methods: Iterable[str], data: str) -> tuple[str, ...]:
    """Top-level modules that trials need besides libraries, sorted: ours, and all that bring the methods and the data.

    Args:
        methods: As in a space file.
        data: The data set's name.
    """
    tops = {"searchplat"}
    for name in methods:
        method = load_method(name)
        classes = type(method).__mro__  # also what a class is built on may be nobody's library
        modules = {one.__module__ for one in classes}
        if isinstance(method, FunctionMethod):
            modules.add(method.module)
        tops |= {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
    for dist in _distributions({*methods, data}):  # the data set's, and other methods of the same package
        tops |= {entry.module.partition(".")[0] for entry in dist.entry_points if entry.group in (METHODS, DATASETS)}
    return tuple(sorted(tops))


@contextmanager
def packed(modules: Iterable[str], names: Iterable[str]) -> Iterator[list[str]]:
    """What Ray's `py_modules` takes; it is sent by the time that Ray is connected.

    Args:
        modules: Of `modules_of`.
        names: Of the methods and the data set: their packages' entry points travel too.

    Yields:
        Paths of packages, of single modules, and of folders with entry points as `importlib.metadata` finds them.
    """
    with TemporaryDirectory(prefix="searchplat-") as folder:
        paths = [str(_place(module)) for module in modules]
        for dist in _distributions({"", *names}):
            info = Path(folder) / f"{dist.name.replace('-', '_')}-{dist.version}.dist-info"
            info.mkdir()
            for name in ("METADATA", "entry_points.txt"):
                if text := dist.read_text(name):
                    (info / name).write_text(text, encoding="utf-8")
            paths.append(str(info))
        yield paths


def digest(modules: Iterable[str]) -> str:
    """A short hash of the code of top-level modules, as this process would import them.

    Raises:
        ImportError: If one is not found.
    """
    return code_of({module: _place(module) for module in modules})


def _place(module: str) -> Path:
    """The folder of a package, or the file of a module."""
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(module) or importlib.util.find_spec(module)  # an editable install has its own finder
    if spec is None:
        raise ImportError(f"no module named {module!r}")
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(str(spec.origin))


def _distributions(names: set[str]) -> Iterator[Distribution]:
    """Distributions that offer methods or data sets of these names; the empty name stands for our own."""
    found: dict[str, Distribution] = {}
    if "" in names:
        with suppress(PackageNotFoundError):  # run from its source, where nothing is installed
            found["searchplat"] = distribution("searchplat")
    for group in (METHODS, DATASETS):
        for entry in entry_points(group=group):
            if entry.name in names and entry.dist is not None:
                found.setdefault(entry.dist.name, entry.dist)
    yield from found.values()
