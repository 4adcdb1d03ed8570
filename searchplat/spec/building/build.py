"""From a document at one scale to a `SearchSpec`: the order in which everything is checked."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchplat import methods, protocol
from searchplat.contract import FILE, ProgramMethod
from searchplat.errors import InputError
from searchplat.spec.building.axes import build_axes, read_defaults
from searchplat.spec.building.binding import Binding
from searchplat.spec.building.constraints import check_defaults, read_constraints
from searchplat.spec.building.controls import build_controls, check_controls, control_key
from searchplat.spec.building.method import check_own_data, find_method
from searchplat.spec.building.notify import build_notify
from searchplat.spec.building.points import canonical, check_points
from searchplat.spec.building.searcher import check_searchers
from searchplat.spec.building.stages import build_stages
from searchplat.spec.document.bounds import read_outcomes
from searchplat.spec.document.folders import data_options, with_absolute_folders
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.document.shapes import BROKEN, whole
from searchplat.spec.document.typed import check_names, check_values
from searchplat.spec.errors import Problems, suggest
from searchplat.spec.grammar import BODY, NAME
from searchplat.spec.model import BY_MODEL, VALID, DataSpec, Objective, PromotionSpec, Resources, SearchSpec
from searchplat.spec.space import Constraint, Domain, Space


@dataclass(frozen=True)
class Origin:
    """What a spec remembers of its making."""

    name: str
    scale: str | None
    overrides: tuple[str, ...]
    source: Path
    text: str


def build_spec(root: Node, origin: Origin, problems: Problems, *, chosen: bool = True) -> SearchSpec | None:
    """Return the spec of a document at its scale; None if a problem was noted.

    Args:
        root: The document, scale merged and overrides applied.
        origin: Where it comes from.
        problems: Takes everything that is wrong.
        chosen: Whether somebody asked for this scale; the others are only checked.
    """
    if not re.fullmatch(NAME, origin.name):
        rule = "a search's name has 1 to 64 of a-z 0-9 . _ - and starts with a letter or digit"
        problems.add(Place(str(origin.source)), "", rule, value=origin.name, remedy="rename the file, or use --name")
    root = with_absolute_folders(_with_data_name(root), problems)
    read = BODY.read(root, "", problems)
    if read is BROKEN:
        return None
    _check_data(root, read, problems)
    search = read.get("search") or {}
    binding = _bind(root, read, tuple(search), origin.source, problems, strict=chosen)
    # Without a binding the values cannot be judged, but everything else can.
    fixed = binding.fixed if binding is not None else root.at(["fixed"]).plain() if read.get("fixed") else {}
    layers_of = binding.layers_of if binding is not None else lambda node, key: None
    search_node = root.fields.get("search", root)
    visible = {name: fixed.get(name, BROKEN) for name in (read.get("fixed") or {})}
    axes = build_axes(search_node, search, visible, layers_of, problems)
    if binding is not None:
        binding.check_axes(axes)
        fixed = binding.fixed = {**binding.fixed, **read_defaults(search_node, search, axes, problems)}
    stages = build_stages(root, read, axes, problems) if read.get("search", search) is not BROKEN else [None]
    objectives = _objectives(root, read, problems)
    check_searchers(root, stages, axes, len(objectives), problems)
    _check_stop(root, len(objectives), problems)
    controls = build_controls(root, read, axes, stages, problems)
    promotion = _promotion(root, read, binding, problems)
    _check_workers(root, read, problems)
    names = (*axes, *binding.config.model_fields) if binding is not None else ()
    constraints = tuple(map(Constraint, read_constraints(root, read, names, problems)))
    outcomes = read_outcomes(root, read, axes, problems)
    check_points(root, stages, axes, fixed, problems)
    space = Space(_axes(axes), constraints)
    notify = build_notify(root, read, problems)
    if binding is not None:
        binding.check_stage_values(root.fields["stages"].items if "stages" in root.fields else [])
        if not problems.found:  # sampling needs a space without holes
            check_defaults(search_node, space, fixed, problems)
            binding.check_points([s for s in stages if s is not None], space)
        check_controls(root, binding, controls, axes, stages, constraints, problems)
    if problems.found or binding is None or None in axes.values() or None in stages or None in controls:
        return None
    name, options = read["data"]["name"], {key: value for key, value in read["data"].items() if key != "name"}
    return SearchSpec(
        name=origin.name,
        method=read["method"],
        data=DataSpec(name, _with_protocol(name, options)),
        objectives=tuple(objectives),
        fixed=binding.canonical(fixed),
        space=space,
        stages=tuple(
            dataclasses.replace(
                stage,
                fixed=binding.canonical(stage.fixed),
                points=tuple(canonical(space, point) for point in stage.points),
            )
            for stage in stages
            if stage is not None
        ),
        controls=tuple(
            control if control.method else dataclasses.replace(control, values=binding.canonical(control.values))
            for control in controls
            if control is not None
        ),
        resources=_resources(read.get("resources", {})),
        promotion=promotion,
        seed=read.get("seed", 0),
        scale=origin.scale,
        overrides=origin.overrides,
        source=origin.source,
        text=origin.text,
        notify=notify,
        outcomes=outcomes,
    )


def _with_data_name(root: Node) -> Node:
    """The document, in which data that is a file and no more has the name of the data set that stands for it."""
    data = root.fields.get("data")
    if data is None or "name" in data.fields or FILE not in data.fields:
        return root
    name = Node(FILE, data.place, data.key_place)
    return Node(
        {**root.fields, "data": Node({"name": name, **data.fields}, data.place, data.key_place)},
        root.place,
        root.key_place,
    )


def _with_protocol(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's options, and among them what is ranked, where the data set knows of that choice."""
    own = getattr(methods.load_dataset(name), protocol.OPTION, None)
    return dict(options) if own is None or protocol.OPTION in options else {**options, protocol.OPTION: own}


def _axes(axes: Mapping[str, Domain | None]) -> tuple[Domain, ...]:
    return tuple(axis for axis in axes.values() if axis is not None)


def _bind(
    root: Node, read: Mapping[str, Any], searched: Sequence[str], source: Path, problems: Problems, *, strict: bool
) -> Binding | None:
    if read["method"] is BROKEN or read.get("fixed", {}) is BROKEN:
        return None
    method = find_method(read["method"], root.fields["method"], "method", problems)
    if method is None:
        return None
    check_own_data(method, read["method"], root, root.fields["method"], "method", problems)
    more: Mapping[str, Any] = {}
    objectives = [fields["metric"] for fields in read["objective"] or () if whole(fields)]
    if isinstance(method, ProgramMethod):
        more = method.from_space(Path(os.path.abspath(source)).parent, objectives)
    return Binding(
        method, read["method"], root, searched, problems, strict=strict, objectives=objectives, from_space=more
    )


def _check_data(root: Node, read: Mapping[str, Any], problems: Problems) -> None:
    data, names = read["data"], methods.dataset_names()
    if data and data["name"] and data["name"] not in names:
        rule, remedy = "this data set is not installed", suggest(data["name"], names, "known are")
        if FILE in data:
            remedy = "leave name out, so that the file is the data set"
        problems.add(root.fields["data"].fields["name"], "data.name", rule, value=data["name"], remedy=remedy)
    if (model := data_options(root)) is not None:
        node, owner = root.fields["data"], f"an option of data set {data['name']}"
        options = {option: value for option, value in node.fields.items() if option != "name"}
        if FILE not in model.model_fields and (file := options.pop(FILE, None)) is not None:
            remedy = "leave name out, so that the file is the data set"
            problems.add(file.key_place, f"data.{FILE}", f"is not {owner}", remedy=remedy)
        known = check_names(model, options, "data", owner, problems)
        check_values(model, known, {}, node, "data", problems)


def _objectives(root: Node, read: Mapping[str, Any], problems: Problems) -> list[Objective]:
    """The objectives that could be read."""
    if read["objective"] is BROKEN:
        return []
    node = root.fields["objective"]
    places = node.items or [node]
    objectives: list[Objective] = []
    for place, fields in zip(places, read["objective"], strict=True):
        if not whole(fields):
            continue
        if any(fields["metric"] == other.metric for other in objectives):
            where, rule = place.fields["metric"], "every objective has its own metric"
            problems.add(where, "objective", rule, value=fields["metric"], remedy="remove one of the two")
        if place is places[0] and not fields["metric"].startswith(VALID):
            rule = "the first objective says which epoch of a trial counts, so it is a validation metric: valid/..."
            problems.add(place.fields["metric"], "objective", rule, value=fields["metric"], remedy="put it behind one")
        objectives.append(Objective(fields["metric"], fields["direction"] == "maximize"))
    return objectives


def _check_stop(root: Node, objectives: int, problems: Problems) -> None:
    """What `stop` expects to gain, and by what `from: {by: model}` ranks, is a number."""
    if objectives < 2:
        return
    for node in [root, *(root.fields["stages"].items if "stages" in root.fields else [])]:
        if (stop := node.fields.get("stop")) is not None:
            rule = f"the expected gain is that of one objective, not {objectives}"
            problems.add(stop.key_place, "stop", rule, remedy="remove stop")
        by = node.fields["from"].fields.get("by") if "from" in node.fields else None
        if by is not None and by.plain() == BY_MODEL:
            rule = f"the model's estimate is that of one objective, not {objectives}"
            problems.add(by.key_place, "from.by", rule, remedy="remove by")


def _promotion(root: Node, read: Mapping[str, Any], binding: Binding | None, problems: Problems) -> PromotionSpec:
    fields = read.get("promotion")
    if not fields or not whole(fields):
        return PromotionSpec()
    if "epochs" in fields and binding is not None:
        node = root.fields["promotion"].fields["epochs"]
        binding.check_field("epochs", node, "promotion.epochs", "remove epochs here")
    if "test" in fields:
        if binding is not None:
            binding.check_tested(root.fields["promotion"].fields["test"])
        fields = {**fields, "test": tuple(fields["test"])}
    return PromotionSpec(**fields)


def _resources(fields: Mapping[str, Any]) -> Resources:
    gpu = fields.get("gpu", "auto")
    cpu = 1.0 if (auto := fields.get("cpu") == "auto") else fields.get("cpu", 1.0)
    return Resources(
        cpu=int(cpu) if math.floor(cpu) == cpu else cpu,
        gpu=None if gpu == "auto" else gpu,
        concurrent=fields.get("concurrent"),
        timeout_s=fields.get("timeout_s"),
        cpu_auto=auto,
        probe_s=fields.get("probe_s"),
        workers=fields.get("workers", 1),
    )


def _check_workers(root: Node, read: Mapping[str, Any], problems: Problems) -> None:
    """Note what does not go with `resources.workers`, if that is more than one."""
    fields = read.get("resources") or {}
    if not whole(fields) or (workers := fields.get("workers", 1)) == 1:
        return
    nodes = root.fields["resources"].fields
    if fields.get("cpu") == "auto":
        rule = "the cores of several workers are not measured"
        problems.add(nodes["cpu"], "resources.cpu", rule, value="auto", remedy="write the cores of one worker")
    gpu = fields.get("gpu", "auto")
    if gpu != "auto" and gpu % 1:
        rule = "each of several workers has a GPU of its own"
        remedy = "write 1, or 0 to train on cores; to pack trials on a GPU remove workers"
        problems.add(nodes["gpu"], "resources.gpu", rule, value=gpu, remedy=remedy)
    for name, key in _methods(root, read):
        if (why := _alone(name)) is not None:
            problems.add(
                nodes["workers"],
                "resources.workers",
                f"{key}: {why}",
                value=workers,
                remedy="remove workers, or write 1",
            )


def _methods(root: Node, read: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of methods, and under which keys."""
    places = [("method", root)]
    if whole(read.get("controls", [])) and "controls" in root.fields:
        places += [(f"{control_key(one, i)}.method", one) for i, one in enumerate(root.fields["controls"].items)]
    for key, node in places:
        if isinstance(name := node.at(["method"]).content, str):
            yield name, key


def _alone(name: str) -> str | None:
    """Why a method cannot be trained by several processes; None if it can, or is not installed, which others say."""
    try:
        method = methods.load_method(name)
    except InputError:
        return None
    if isinstance(method, ProgramMethod):
        return (
            f"method {name} runs a program, which is one process for the platform; it may start workers of its own on "
            "the cores and GPUs of the trial, by torchrun say"
        )
    if not getattr(method, "takes_workers", False):
        return f"method {name} does not say that several workers give the results of one (`takes_workers`)"
    return None
