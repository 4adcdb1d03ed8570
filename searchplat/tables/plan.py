"""What a table is to hold: the file, checked, and the search of each of its systems."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from searchplat.errors import InputError
from searchplat.spec import load
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.strict_yaml import MAX_BYTES, decode, read_file
from searchplat.spec.errors import Problem, SpecError
from searchplat.spec.find import find_space
from searchplat.spec.grammar import NAME
from searchplat.spec.load import refuse_secrets
from searchplat.spec.model import SearchSpec, StageSpec

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

    space: str = Field(min_length=1, max_length=1000)
    name: Name = ""
    scale: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)

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
        minutes: Of training and evaluation by a search's trials together, after which no more begin.
        trials: Trials of a search at most, as a method whose trials take no time would never end; by default the
            space's.
        seeds: Final trainings of each row.
        metrics: Columns, of the test split.
        controls: Methods that learn nothing and have no search, such as popularity; rows if a space has them as
            controls.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field("", max_length=200)
    scale: str | None = None
    minutes: float = Field(gt=0, le=1e6)
    trials: int | None = Field(None, ge=1)
    seeds: int = Field(3, ge=1, le=1000)
    metrics: tuple[str, ...] = Field(("mrr", "recall@10", "ndcg@10"), min_length=1)
    controls: tuple[str, ...] = ("popularity",)
    systems: tuple[System, ...] = Field(min_length=1)

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
    root = read_file(text, str(path))
    try:
        plan = Plan.model_validate(root.plain())
    except ValidationError as error:
        raise SpecError([_problem(root, one) for one in error.errors()]) from error
    entries, controls = [], set(plan.controls)
    for system in plan.systems:
        spec = _spec(path, plan, system, controls)
        controls -= {control.method for control in spec.controls}
        entries.append(Entry(system.name, f"{path.stem}-{system.name}", spec))
    _refuse_other_data(path, entries)
    return TablePlan(path.stem, plan, tuple(entries))


def _spec(path: Path, plan: Plan, system: System, controls: set[str]) -> SearchSpec:
    """The space under the table's budget, without controls but those that the table still lacks."""
    beside = path.parent / system.space
    changes = [f"{key}={json.dumps(value)}" for key, value in system.set.items()]
    changes += ["promotion.top=1", "promotion.race=0", f"promotion.seeds={plan.seeds}"]
    changes.append(f"promotion.test={json.dumps(plan.metrics)}")
    spec = load(
        find_space(beside if beside.is_file() else system.space),
        scale=system.scale or plan.scale,
        overrides=changes,
        name=system.name,
    )
    kept = tuple(one for one in spec.controls if one.method in controls and not one.values)
    return replace(spec, stages=_budgeted(spec.stages, plan), controls=kept)


def _budgeted(stages: Sequence[StageSpec], plan: Plan) -> tuple[StageSpec, ...]:
    """Stages that share minutes and trials as their numbers of trials say, each with its axes' defaults first.

    A search of minutes must not end below what its system has without one, and the control `default` is not its own.
    """
    total = sum(stage.trials for stage in stages)
    return tuple(
        replace(
            stage,
            points=stage.points or (({},) if stage.over and stage.searcher.name != "grid" else ()),
            hours=plan.minutes / 60 * (stage.trials / total),
            trials=stage.trials if plan.trials is None else max(1, round(plan.trials * (stage.trials / total))),
        )
        for stage in stages
    )


def _refuse_other_data(path: Path, entries: Sequence[Entry]) -> None:
    first = entries[0]
    for one in entries[1:]:
        if one.spec.data.name != first.spec.data.name:
            raise InputError(
                f"{path}: systems: all must be searched on one data set, got {one.name} on {one.spec.data.name} and "
                f"{first.name} on {first.spec.data.name}; give {one.name} another scale, or a table of its own"
            )


def _problem(root: Node, error: Any) -> Problem:
    node = root.at([part for part in error["loc"] if isinstance(part, str | int)])
    key = ".".join(str(part) for part in error["loc"])
    rule = error["msg"].removeprefix("Value error, ")
    return Problem(node.place.source, node.place.line, node.place.column, key, rule[:1].lower() + rule[1:])
