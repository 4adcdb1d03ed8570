"""Which outside searchers there are, and where each is looked for.

`OUTSIDE_<PACKAGE>` names the folder of a package that is a checkout, `OUTSIDE_<PACKAGE>_PYTHON` the interpreter of one
whose dependencies clash with this project's: it then runs in a process of its own. Without the latter it runs here.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outside.protocol import AbsentError, AskTell, Local, Opening, Remote, Session


@dataclass(frozen=True)
class Entry:
    """An outside searcher.

    Args:
        package: What it is called in the names of the variables.
        adapter: Module and class of its adapter.
        options: Over the adapter's defaults.
        checkout: Whether it is a folder that must be named.
        own_first: Whether it begins with points of its own instead of those that all searchers of a seed share.
        by_budget: Whether its points depend on how many evaluations there will be.
    """

    package: str
    adapter: str
    options: Mapping[str, Any] = field(default_factory=dict)
    checkout: bool = False
    own_first: bool = False
    by_budget: bool = False

    @property
    def folder(self) -> str | None:
        """The named folder."""
        return os.environ.get(f"OUTSIDE_{self.package}")

    @property
    def python(self) -> str | None:
        """The named interpreter."""
        return os.environ.get(f"OUTSIDE_{self.package}_PYTHON")


OUTSIDE = {
    "bounce": Entry("BOUNCE", "bounce:Bounce", checkout=True, own_first=True, by_budget=True),
    "casmopolitan": Entry("MCBO", "mcbo:MCBO", {"acquisition": "is", "trust_region": "basic"}, checkout=True),
    "mcbo-to-ga": Entry("MCBO", "mcbo:MCBO", {"acquisition": "ga", "trust_region": None}, checkout=True),
    "smac-rf": Entry("SMAC", "smac:RandomForest"),
    "vizier-gp": Entry("VIZIER", "vizier:GPBandit"),
    "optuna-gp-int": Entry("OPTUNA", "optuna_samplers:OptunaGP", {"bits": "int"}),
    "optuna-gp-cat": Entry("OPTUNA", "optuna_samplers:OptunaGP", {"bits": "categorical"}),
    "autosampler": Entry("OPTUNAHUB", "optuna_samplers:AutoSampler", {"bits": "int"}, checkout=True),
}
"""By the name that results have them under."""


def open_session(opening: Opening) -> Session:
    """Begin a search.

    Raises:
        AbsentError: If the package is not there.
    """
    entry = OUTSIDE[opening.searcher]
    if entry.checkout and not os.path.isdir(entry.folder or ""):
        raise AbsentError(f"OUTSIDE_{entry.package} names no folder, got {entry.folder!r}")
    if entry.python:
        return Remote(entry.python, entry.folder, opening)
    return Local(load(opening, entry.folder))


def load(opening: Opening, folder: str | None) -> AskTell:
    """The adapter, in this process.

    Raises:
        AbsentError: If the package cannot be imported.
    """
    entry = OUTSIDE[opening.searcher]
    if folder and (place := os.path.abspath(folder)) not in sys.path:
        sys.path.append(place)
    module, _, name = entry.adapter.partition(":")
    make = getattr(importlib.import_module(f"outside.{module}"), name)
    try:
        adapter: AskTell = make(opening, **entry.options)
    except ImportError as error:  # also of what the package itself imports
        raise AbsentError(f"{opening.searcher} cannot be imported: {error}") from error
    return adapter
