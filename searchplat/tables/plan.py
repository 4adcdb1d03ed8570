"""What a table is to hold: the file, checked, and the search of each of its systems."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from searchplat.errors import InputError
from searchplat.methods import load_method
from searchplat.spec import load
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.strict_yaml import MAX_BYTES, decode, read_file
from searchplat.spec.document.typed import about, add_error, errors_of
from searchplat.spec.errors import UNSAID, Problems, show, suggest
from searchplat.spec.find import find_space
from searchplat.spec.grammar import NAME
from searchplat.spec.load import refuse_secrets
from searchplat.spec.model import Control, SearchSpec, StageSpec

Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=60)]


class System(BaseModel):
    """A row.

    Args:
        space: A space file beside the table's, or the bare name of a shipped one.
        name: What the row is called; the space's name by default.
        scale: In place of the table's.
        set: Changes to the space, by key, as `--set` takes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str = Field(min_length=1, max_length=1000, description="a space file, or a shipped one's name")
    name: Name = Field("", description=f"of the row, small letters and digits, as {NAME}")
    scale: str | None = Field(None, description="in place of the table's")
    set: dict[str, Any] = Field(default_factory=dict, description="changes to the space, {epochs: 5}")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"space": value}
        if isinstance(value, dict) and "name" not in value and isinstance(value.get("space"), str):
            value = {**value, "name": Path(value["space"]).stem}
        return value


class Plan(BaseModel):
    """A table.

    Args:
        title: Stands above it.
        scale: Of the spaces.
        set: Changes to all spaces, as a system's own, which go before them.
        minutes: Of training and evaluation by a search's trials together, after which no more begin.
        trials: Trials of a search at most, as a method whose trials take no time would never end; by default the
            space's.
        seeds: Final trainings of each row.
        metrics: Columns, of the test split.
        controls: Methods that learn nothing and have no search, such as popularity; rows if a space has them as
            controls.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field("", max_length=200, description="stands above the table")
    scale: str | None = Field(None, description="of the spaces")
    set: dict[str, Any] = Field(default_factory=dict, description="changes to all spaces, {sampled_negatives: 100}")
    minutes: float = Field(ge=0.01, le=1e6, description="of training by a search's trials together")
    trials: int | None = Field(None, ge=1, le=10**9, description="trials of a search at most")
    seeds: int = Field(3, ge=1, le=1000, description="final trainings of each row")
    metrics: tuple[str, ...] = Field(
        ("mrr", "recall@10", "ndcg@10"), min_length=1, description="a list of columns, such as [mrr, ndcg@10]"
    )
    controls: tuple[str, ...] = Field(
        ("popularity",), description="a list of methods without a search, such as [popularity]"
    )
    systems: tuple[System, ...] = Field(min_length=1, description="a list of spaces")

    @model_validator(mode="after")
    def _names_differ(self) -> Plan:
        names = [system.name for system in self.systems]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"two systems must not have one name, got {', '.join(twice)} twice; give one a name of its own"
            )
        return self


@dataclass(frozen=True)
class Entry:
    """A system's search.

    Args:
        search: The search's name, `<table>-<system>`.
    """

    name: str
    search: str
    spec: SearchSpec


@dataclass(frozen=True)
class TablePlan:
    """A table's file, read.

    Args:
        name: The file's, without its ending.
    """

    name: str
    plan: Plan
    entries: tuple[Entry, ...]

    @property
    def metric(self) -> str:
        """The column that differences are tested on: what the first system is searched by, else the first."""
        wanted = self.entries[0].spec.objectives[0].metric.removeprefix("valid/")
        return wanted if wanted in self.plan.metrics else self.plan.metrics[0]


def read_table(path: Path) -> TablePlan:
    """Read and check a table's file and the spaces that it names.

    Raises:
        InputError: If a file cannot be read, breaks a rule, or the systems are not searched on the same data.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{path}: cannot be read: {reason}; give a table's file, such as spaces/tables/scientific.yaml"
        ) from error
    if not re.fullmatch(NAME, path.stem):
        raise InputError(f"{path}: the name must match {NAME}, for searches are named after it; rename the file")
    text = decode(data, str(path))
    refuse_secrets(text, str(path), ())
    if not any(line.partition("#")[0].strip() for line in text.splitlines()):
        raise InputError(f"{path}: the file is empty; a table begins with minutes and systems, see docs/tables.md")
    root = read_file(text, str(path))
    plan = _checked(root)
    entries, controls = [], set(plan.controls)
    for system in plan.systems:
        search = f"{path.stem}-{system.name}"
        if not re.fullmatch(NAME, search):
            raise InputError(
                f"{path}: system {system.name}: its search would be named {search!r}, which must match {NAME}; give "
                "the system or the file a shorter name"
            )
        try:
            spec = _spec(path, plan, system, controls)
        except InputError as error:
            raise InputError(f"{path}: system {system.name}: {error}") from error
        controls -= {control.method for control in spec.controls}
        entries.append(Entry(system.name, search, spec))
    if controls and "controls" in plan.model_fields_set:
        raise InputError(
            f"{path}: controls: no system's space has {', '.join(sorted(controls))} as a control with its defaults; "
            "correct the name, or leave it out"
        )
    _refuse_other_data(path, entries)
    return TablePlan(path.stem, plan, tuple(entries))


def _checked(root: Node) -> Plan:
    """The file's content.

    Raises:
        SpecError: With the place of everything that is wrong.
    """
    problems = Problems()
    values = root.plain()
    for error in errors_of(Plan, values if isinstance(values, dict) else {}):
        where = [part for part in error["loc"] if isinstance(part, str | int)]
        node, key = root.at(where), ".".join(str(part) for part in where)
        model, name = (System if len(where) > 2 else Plan), str(where[-1]) if where else ""
        value = node.plain()
        if error["type"] == "too_short" and value:
            continue  # the others were wrong, which is said by itself
        if error["type"] == "extra_forbidden":
            owner = "a system" if model is System else "a table"
            problems.add(node.key_place, key, f"is not a key of {owner}", remedy=suggest(name, model.model_fields))
        elif error["type"] == "missing":
            problems.add(node, key, "is missing", remedy=about(model, name))
        elif error["type"] in ("model_type", "dict_type", "model_attributes_type"):
            problems.add(node, key, "must be a mapping, or the name of a space", value=value)
        else:
            add_error(problems, node, key, error, value if where else UNSAID, about(model, name) if where else "")
    problems.raise_if_any()
    return Plan.model_validate_json(json.dumps(values))


_THE_TABLES = ("promotion.top", "promotion.race", "promotion.seeds", "promotion.test")


def _spec(path: Path, plan: Plan, system: System, controls: set[str]) -> SearchSpec:
    """The space under the table's budget, without controls but those that the table still lacks."""
    fixed = ("promotion", *_THE_TABLES, *(("trials",) if plan.trials is not None else ()))
    own = {**plan.set, **system.set}
    if wrong := [key for key in own if key in fixed]:
        raise InputError(f"set: {wrong[0]} is what the table says for all systems; leave it out")
    values = (1, 0, plan.seeds, plan.metrics)
    changes = [*map(_change, own.items()), *map(_change, zip(_THE_TABLES, values, strict=True))]

    def read(*more: str) -> SearchSpec:
        space, scale = find_space(_beside(path, system.space)), system.scale or plan.scale
        return load(space, scale=scale, overrides=[*changes, *more], name=system.name)

    # All of it as `--set` takes it, so that the command that is printed for such a search goes on with it.
    spec = read()
    prefix = "" if len(spec.stages) == 1 and _one_stage(spec) else "stages."
    return read(*_budget(spec.stages, plan, prefix), *_only(controls, spec.controls, plan.set))


def _only(methods: set[str], controls: Sequence[Control], given: Mapping[str, Any]) -> list[str]:
    """Drop all controls but those of `methods` that have their defaults, or what the table sets for all systems."""
    kept = []
    for one in controls:
        if one.method in methods:
            config = load_method(one.method).Config
            known = {name: value for name, value in given.items() if name in config.model_fields}
            values = {name: value for name, value in known.items() if not errors_of(config, {name: value})}
            if one.values in ({}, values):
                kept.append((one.name, values))
    if not kept:
        return [_change(("controls", None))] if controls else []
    drops = {one.name for one in controls} - {name for name, _ in kept}
    changes = [_change((f"controls.{name}.drop", True)) for name in sorted(drops)]
    return changes + [_change((f"controls.{name}.values", values)) for name, values in kept if values]


def _change(item: tuple[str, Any]) -> str:
    return f"{item[0]}={json.dumps(item[1])}"


def _one_stage(spec: SearchSpec) -> bool:
    """Whether the space searches without `stages:`, so that their keys are its own."""
    root = read_file(spec.text, str(spec.source))
    scales = root.fields.get("scales")
    scale = None if scales is None or spec.scale is None else scales.fields.get(spec.scale)
    return not any(node is not None and "stages" in node.fields for node in (root, scale))


def _budget(stages: Sequence[StageSpec], plan: Plan, prefix: str) -> Iterator[str]:
    """Stages that share minutes and trials as their numbers of trials say, each with its axes' defaults first.

    A search of minutes must not end below what its system has without one, and the control `default` is not its own.
    """
    total = sum(stage.trials for stage in stages)
    for stage in stages:
        key = f"{prefix}{stage.name}." if prefix else ""
        yield _change((f"{key}hours", plan.minutes / 60 * (stage.trials / total)))
        if plan.trials is not None:
            yield _change((f"{key}trials", max(1, round(plan.trials * (stage.trials / total)))))
        if stage.over and not stage.points and stage.searcher.name != "grid":
            yield _change((f"{key}points", [{}]))


def _beside(path: Path, space: str) -> Path | str:
    """The file beside the table's, if there is one."""
    try:
        beside = path.parent / space
        return beside if beside.is_file() else space
    except (OSError, ValueError):  # too long, or with a null byte
        return space


def _refuse_other_data(path: Path, entries: Sequence[Entry]) -> None:
    """What a model reads of the items may differ; whom it is tested on, and among what, may not."""

    def tested(entry: Entry) -> dict[str, Any]:
        options = {name: value for name, value in entry.spec.data.options.items() if name != "attributes"}
        return {"name": entry.spec.data.name, **options}

    first = entries[0]
    for one in entries[1:]:
        if (here := tested(one)) != (there := tested(first)):
            raise InputError(
                f"{path}: systems: all must be searched on one data set, got {one.name} on {show(here)} and "
                f"{first.name} on {show(there)}; give {one.name} another scale, or a table of its own"
            )
