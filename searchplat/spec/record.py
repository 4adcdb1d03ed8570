"""The resolved form of a search as JSON: kept in the ledger, compared on resuming, turned back into a spec."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from searchplat.spec.document.bounds import bounds_of
from searchplat.spec.errors import join, show
from searchplat.spec.model import (
    BY_VALUE,
    Control,
    DataSpec,
    NotifySpec,
    Objective,
    PromotionSpec,
    RepeatsSpec,
    Resources,
    SchedulerSpec,
    SearcherSpec,
    SearchSpec,
    StageFrom,
    StageSpec,
    StopSpec,
)
from searchplat.spec.prior import Prior
from searchplat.spec.space import Bool, Categorical, Condition, Constraint, Domain, Float, Int, Layout, Space

VERSION = 1
"""Of the document; a reader of a newer one refuses it."""

NO_EFFECT = frozenset(
    {"version", "name", "scale", "overrides", "past", "source", "text", "resources", "promotion", "notify"}
)
"""Keys of a document that change no trial: where and how fast it runs, and what happens afterwards."""

_AXES: dict[str, type[Domain]] = {
    "float": Float,
    "int": Int,
    "categorical": Categorical,
    "bool": Bool,
    "layout": Layout,
}


def to_document(spec: SearchSpec) -> dict[str, Any]:
    """Return the spec as JSON values, every default written out.

    Its keys are those of a space file where there are such; `search` is a list of axes, as their order matters.
    """
    constraints = [constraint.text for constraint in spec.space.constraints]
    return {
        "version": VERSION,
        "name": spec.name,
        "method": spec.method,
        "data": {"name": spec.data.name, "options": dict(spec.data.options)},
        "objective": [_plain(objective) for objective in spec.objectives],
        "fixed": dict(spec.fixed),
        "search": [_axis_to(axis) for axis in spec.space.domains],
        **({"constraints": constraints} if constraints else {}),  # there were none before
        **({"outcomes": [bound.text for bound in spec.outcomes]} if spec.outcomes else {}),
        "stages": [_stage_to(stage) for stage in spec.stages],
        "controls": [_plain(control) for control in spec.controls],
        "resources": _plain(spec.resources),
        "promotion": _plain(spec.promotion),
        "seed": spec.seed,
        "scale": spec.scale,
        "overrides": list(spec.overrides),
        "source": str(spec.source),
        "text": spec.text,
        "notify": [_plain(one) for one in spec.notify],
        **({"past": list(spec.past)} if spec.past else {}),
    }


def from_document(document: Mapping[str, Any]) -> SearchSpec:
    """Return the spec of a document; `from_document(to_document(spec)) == spec`.

    Raises:
        ValueError: If the document is of a newer version.
    """
    if document["version"] != VERSION:
        raise ValueError(f"the document must have version {VERSION}, got {document['version']}; use a newer searchplat")
    return SearchSpec(
        name=document["name"],
        method=document["method"],
        data=DataSpec(**document["data"]),
        objectives=tuple(Objective(**objective) for objective in document["objective"]),
        fixed=document["fixed"],
        space=Space(
            tuple(_axis_from(axis) for axis in document["search"]),
            tuple(map(Constraint, document.get("constraints", ()))),
        ),
        stages=tuple(_stage_from(stage) for stage in document["stages"]),
        controls=tuple(Control(**control) for control in document["controls"]),
        resources=Resources(**document["resources"]),
        promotion=PromotionSpec(**{**document["promotion"], "test": tuple(document["promotion"]["test"])}),
        seed=document["seed"],
        scale=document["scale"],
        overrides=tuple(document["overrides"]),
        source=Path(document["source"]),
        text=document["text"],
        notify=tuple(map(_notify_from, document.get("notify", ()))),
        outcomes=bounds_of(document.get("outcomes", ())),
        past=tuple(document.get("past", ())),
    )


def digest(spec: SearchSpec) -> str:
    """SHA-256, in hex, of everything that decides the results of the trials; equal exactly when `diff` is empty.

    Not of resources, promotion, the name, the scale's name and the file: they change no trial.
    """
    return hashlib.sha256(_canonical(_effective(to_document(spec))).encode("ascii")).hexdigest()


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two documents among the things that decide results.

    Returns:
        Lines `key: old -> new`, in the order of the documents; `(none)` stands for a key that is not there.
    """
    before, after = _flat(_effective(old)), _flat(_effective(new))
    lines = []
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key, _MISSING), after.get(key, _MISSING)
        if _canonical(was) != _canonical(now) and not _filled(key, before, after):
            lines.append(f"{key}: {_shown(was)} -> {_shown(now)}")
    return lines


_STAGE_KEYS = {"start_from": "from"}
_MISSING = object()


def _effective(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in NO_EFFECT}


def _plain(value: Any) -> Any:
    """A frozen dataclass as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _axis_to(axis: Domain) -> dict[str, Any]:
    kind = next(kind for kind, cls in _AXES.items() if type(axis) is cls)
    fields = _plain(axis)
    when = {condition.parameter: list(condition.values) for condition in axis.when}
    if axis.prior is None:  # there was none before
        del fields["prior"]
    return {"name": fields.pop("name"), "type": kind, **fields, "when": when}


def _axis_from(document: Mapping[str, Any]) -> Domain:
    fields: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in document.items() if key != "type"
    }
    fields["when"] = tuple(Condition(parent, tuple(values)) for parent, values in document["when"].items())
    if prior := document.get("prior"):
        fields["prior"] = Prior(**{**prior, "weights": tuple(prior["weights"])})
    make: Callable[..., Domain] = _AXES[document["type"]]
    return make(**fields)


def _stage_to(stage: StageSpec) -> dict[str, Any]:
    fields = {_STAGE_KEYS.get(key, key): item for key, item in _plain(stage).items()}
    # Left out where they say nothing, as in the documents of before there were such keys.
    later: dict[str, Any] = {
        "hours": None,
        "gpu_hours": None,
        "priority": 0,
        "seeds": "own",
        "repeats": None,
        "points": [],
        "stop": None,
    }
    if fields["from"] is not None and fields["from"]["by"] == BY_VALUE:
        del fields["from"]["by"]
    return {key: item for key, item in fields.items() if key not in later or item != later[key]}


def _stage_from(document: Mapping[str, Any]) -> StageSpec:
    fields = {key: item for key, item in document.items() if key != "from"}
    return StageSpec(
        **{
            **fields,
            "over": tuple(document["over"]),
            "searcher": SearcherSpec(**document["searcher"]),
            "scheduler": SchedulerSpec(**document["scheduler"]),
            "repeats": RepeatsSpec(**document["repeats"]) if document.get("repeats") else None,
            "points": tuple(document.get("points", ())),
            "stop": StopSpec(**document["stop"]) if document.get("stop") else None,
            "start_from": None if document["from"] is None else StageFrom(**document["from"]),
        }
    )


def _notify_from(document: Mapping[str, Any]) -> NotifySpec:
    fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in document.items()}
    return NotifySpec(**fields)


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Leaves by dotted key; elements of lists of named mappings by their names, with a line for their order."""
    if isinstance(value, Mapping) and value:
        return {k: leaf for part, item in value.items() for k, leaf in _flat(item, join(key, _part(part))).items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        flat: dict[str, Any] = {f"{key} (order)": [item["name"] for item in value]}
        for item in value:
            rest = {part: inner for part, inner in item.items() if part != "name"}
            flat |= _flat(rest, join(key, _part(item["name"])))
        return flat
    return {key: value}


def _filled(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether `key` is an empty container on one side, of which the other side has the contents."""
    return any(
        side.get(key) in ({}, []) and any(_inside(k, key) for k in other)
        for side, other in ((before, after), (after, before))
    )


def _inside(key: str, container: str) -> bool:
    return key.startswith((f"{container}.", f"{container} (order)"))


def _part(name: str) -> str:
    return repr(name) if "." in name else name


def _canonical(value: Any) -> str:
    """JSON text: it tells 1 from 1.0 and from true, as trials do."""
    return "" if value is _MISSING else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _shown(value: Any) -> str:
    return "(none)" if value is _MISSING else show(value, 400)  # long paths may differ at their ends alone
