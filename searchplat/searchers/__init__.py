"""Where to look next. A searcher is a function of the ledger's trials and a seed (`contract`).

`make_searcher` builds one from a space file's `searcher:` block; `SEARCHERS` lists them. A new searcher is a
file, a line of that table, and its test; `tests/conformance/test_searchers.py` then checks it like all others.
Loads optuna and torch only when a searcher that needs them is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from searchplat.errors import InputError
from searchplat.searchers import options as _options
from searchplat.searchers.contract import BatchSearcher, History, PastTrial, Searcher, Suggestion, TrialState
from searchplat.searchers.transfer import SourceTask
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Space

if TYPE_CHECKING:
    from searchplat.searchers.pr import PRSampler

__all__ = [
    "SEARCHERS",
    "BatchSearcher",
    "History",
    "PRSampler",
    "PastTrial",
    "Searcher",
    "SearcherEntry",
    "SourceTask",
    "Suggestion",
    "TrialState",
    "check_options",
    "make_searcher",
    "takes_past",
]


@dataclass(frozen=True)
class SearcherEntry:
    """A line of the table: what a searcher is, its options, and where it is built.

    Args:
        summary: One line for people.
        options: The typed options; the builder gets an instance.
        module: Module of the builder, imported on use.
        builder: Called as `builder(space, maximize, seed, given, options)`; one whose options have a `past`, also with
            `past=` trials of other searches.
    """

    summary: str
    options: type[_options.Options]
    module: str
    builder: str


SEARCHERS: Mapping[str, SearcherEntry] = {
    "random": SearcherEntry(
        "uniform draws, no point twice", _options.RandomOptions, "searchplat.searchers.random_search", "random_search"
    ),
    "grid": SearcherEntry(
        "every combination once, in shuffled order", _options.GridOptions, "searchplat.searchers.grid", "grid"
    ),
    "tpe": SearcherEntry(
        "tree-structured Parzen estimator (Optuna)", _options.TPEOptions, "searchplat.searchers.samplers", "tpe"
    ),
    "gp": SearcherEntry(
        "Gaussian process with log expected improvement (Optuna)",
        _options.GPOptions,
        "searchplat.searchers.samplers",
        "gp",
    ),
    "cmaes": SearcherEntry(
        "evolution strategy for numbers, one objective (Optuna)",
        _options.CMAESOptions,
        "searchplat.searchers.samplers",
        "cmaes",
    ),
    "nsga2": SearcherEntry(
        "genetic algorithm, several objectives (Optuna)",
        _options.NSGA2Options,
        "searchplat.searchers.samplers",
        "nsga2",
    ),
    "pr": SearcherEntry(
        "Gaussian process with probabilistic reparameterization, for layouts and mixed spaces (ours)",
        _options.PROptions,
        "searchplat.searchers.pr.searcher",
        "pr",
    ),
}


def check_options(spec: SearcherSpec) -> _options.Options:
    """The typed options of a `searcher:` block.

    Raises:
        InputError: If the searcher or an option is not known, or an option's value is not allowed.
    """
    if spec.name not in SEARCHERS:
        raise InputError(f"searcher: must be one of {', '.join(SEARCHERS)}, got {spec.name!r}; correct the name")
    model = SEARCHERS[spec.name].options
    try:
        return model.model_validate(dict(spec.options))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(model.model_fields) or "none"
        if first["type"] == "extra_forbidden":
            raise InputError(
                f"searcher {spec.name}: has the options {known}, got {name!r}; correct or remove it"
            ) from None
        raise InputError(
            f"searcher {spec.name}: {name}: {first['msg'].lower()}, got {first['input']!r}; correct the value"
        ) from None


def takes_past(name: str) -> bool:
    """Whether a searcher learns from trials of other searches."""
    return issubclass(SEARCHERS[name].options, _options.WithPast)


def make_searcher(
    spec: SearcherSpec,
    space: Space,
    maximize: tuple[bool, ...],
    seed: int,
    given: Mapping[str, Any] = MappingProxyType({}),
    past: Sequence[SourceTask] = (),
) -> Searcher:
    """Build a searcher.

    Args:
        spec: Its name and options.
        space: The axes of one stage.
        maximize: One per objective.
        seed: Equal seeds, histories and numbers give equal suggestions, in any process.
        given: Values of parameters outside `space` that its conditions may look at.
        past: Trials of other searches, for a searcher that takes them.

    Raises:
        InputError: If the name or an option is unknown, or the searcher cannot search this space.
    """
    options = check_options(spec)
    entry = SEARCHERS[spec.name]
    build = getattr(import_module(entry.module), entry.builder)
    more = {"past": tuple(past)} if takes_past(spec.name) else {}
    return cast(Searcher, build(space, maximize, seed, dict(given), options, **more))


def __getattr__(name: str) -> Any:
    if name == "PRSampler":  # loads optuna and torch
        return import_module("searchplat.searchers.pr").PRSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
