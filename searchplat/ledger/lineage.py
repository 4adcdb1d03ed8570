"""What a search's figures depend on besides its seeds: hashes of space, data and code, versions of packages.

A search writes it into its ledger when it starts and whenever it goes on; promotion compares it with what is
there now, and refuses to mix figures that do not belong together.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from searchplat.contract import AssetSource, ProgramMethod
from searchplat.errors import AssetError
from searchplat.ledger import Ledger
from searchplat.methods import load_dataset, load_method
from searchplat.spec.model import SearchSpec
from searchplat.spec.record import digest

META = "lineage"
HASHES = ("space", "data", "code")
_PACKAGES = ("torch", "transformers", "numpy", "ray", "searchplat")
_LENGTH = 16

Lineage = dict[str, str]
"""`space`, `data` and `code` as short hashes, then versions by package."""


def now(spec: SearchSpec, assets: AssetSource) -> Lineage:
    """The lineage that a training of this space would have at this moment.

    `code` covers the Python files of the packages that hold the methods: the space's own and its controls'.
    """
    values = {spec.method: spec.fixed, **{one.method: one.values for one in spec.controls if one.method}}
    return {
        "space": space_of(spec),
        "data": data_of(spec.data.name, spec.data.options, assets),
        "code": _code(values),
        **versions(),
    }


def space_of(spec: SearchSpec) -> str:
    """The fingerprint of a space: equal for two exactly when nothing differs that decides results."""
    return digest(spec)[:_LENGTH]


def rename_space(ledger: Ledger, old: str, new: str) -> None:
    """What ran under one space counts as run under another, of whose trials it is."""
    known = [{**one, "space": new} if one.get("space") == old else one for one in recorded(ledger)]
    ledger.set_meta(META, json.dumps([one for place, one in enumerate(known) if one not in known[:place]]))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on, where they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def recorded(ledger: Ledger) -> list[Lineage]:
    """Every lineage that trials of a search ran under, in order; empty for a search from before it was recorded."""
    found: list[Lineage] = json.loads(ledger.meta(META) or "[]")
    return found


def record(ledger: Ledger, lineage: Mapping[str, str]) -> None:
    """Add a lineage to a search's, unless it is there already."""
    known = recorded(ledger)
    if dict(lineage) not in known:
        ledger.set_meta(META, json.dumps([*known, dict(lineage)]))


def changes(before: Iterable[Mapping[str, str]], after: Mapping[str, str]) -> list[str]:
    """What differs, a line each: `data: 1f3a.. then, 77c0.. now`.

    >>> changes([{"data": "a", "torch": "2.12"}], {"data": "a", "torch": "2.13"})
    ['torch: 2.12 then, 2.13 now']
    """
    lines = []
    for old in before:
        for name in sorted({*old, *after}, key=_order):
            if old.get(name) != after.get(name):
                lines.append(f"{name}: {old.get(name, 'none')} then, {after.get(name, 'none')} now")
    return list(dict.fromkeys(lines))


def _order(name: str) -> tuple[int, str]:
    return (HASHES.index(name) if name in HASHES else len(HASHES)), name


def data_of(name: str, options: Mapping[str, Any], assets: AssetSource) -> str:
    """A short hash of a data set; `absent` where it cannot be had."""
    try:
        return _hash([load_dataset(name).fingerprint(assets, options).encode()])
    except AssetError:  # a method that needs no data can be searched without it
        return "absent"


def _code(values: Mapping[str, Mapping[str, Any]]) -> str:
    """By the methods' names, what is fixed of each."""
    places: dict[str, Path] = {}
    for name in sorted(values):
        method = load_method(name)
        if isinstance(method, ProgramMethod):
            places |= method.sources(values[name])
        module = type(method).__module__
        top = module.partition(".")[0]
        place = Path(str(sys.modules[top].__file__ or sys.modules[module].__file__))  # a folder may have no __init__
        places[top] = place.parent if place.name == "__init__.py" else place
    return code_of(places)


def code_of(places: Mapping[str, Path]) -> str:
    """A short hash of the Python files of packages and modules, by the names that they are imported by."""
    files: dict[str, Path] = {}
    for top, place in places.items():
        folder = place if place.is_dir() else place.parent
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            files[f"{top}/{path.relative_to(folder).as_posix()}"] = path
    return _hash(part for name, path in sorted(files.items()) for part in (name.encode(), path.read_bytes()))


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}\n".encode() + part)
    return digest.hexdigest()[:_LENGTH]
