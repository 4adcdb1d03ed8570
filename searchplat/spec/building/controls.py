"""From the read `controls:` to typed controls, and what must hold for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.contract import ProgramMethod
from searchplat.spec.building.binding import Binding
from searchplat.spec.building.method import check_own_data, find_method
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import BROKEN, whole
from searchplat.spec.errors import Problems, suggest
from searchplat.spec.model import Control, StageSpec
from searchplat.spec.space import Constraint, Domain, Layout, Space


def build_controls(
    root: Node,
    read: Mapping[str, Any],
    axes: Mapping[str, Domain | None],
    stages: Sequence[StageSpec | None],
    problems: Problems,
) -> list[Control | None]:
    """Return the controls in order; None stands for one whose problem is noted."""
    if read.get("controls", []) is BROKEN:
        return [None]
    controls: list[Control | None] = []
    names: set[str] = set()
    last = stages[-1].data_fraction if stages and stages[-1] is not None else 1.0
    for index, fields in enumerate(read.get("controls", [])):
        node = root.fields["controls"].items[index]
        key = control_key(node, index)
        if fields is BROKEN:
            controls.append(None)
            continue
        if fields["name"] and fields["name"] in names:
            rule, value = "every control has its own name", fields["name"]
            problems.add(node.fields["name"], f"{key}.name", rule, value=value, remedy="rename one of the two")
        if "drop" in fields:
            rule = "a scale drops a control of the file by its name, and the file has none of this name"
            problems.add(node.fields["drop"].key_place, f"{key}.drop", rule, remedy="remove the control itself")
        names.add(fields["name"])
        controls.append(_build(fields, node, key, axes, last, problems))
    return controls


def control_key(node: Node, index: int) -> str:
    """Dotted key of a control: by its name, if it has one."""
    return f"controls.{node.name}" if node.name is not None else f"controls[{index}]"


def _build(
    fields: dict[str, Any],
    node: Node,
    key: str,
    axes: Mapping[str, Domain | None],
    data_fraction: float,
    problems: Problems,
) -> Control | None:
    if fields.get("method") is not None:
        for other in ("all", "random"):
            if fields.get(other):
                rule = f"method and {other} exclude each other: another method has its own parameters"
                problems.add(node.fields[other].key_place, f"{key}.{other}", rule, remedy=f"remove {other}")
                return None
    if not whole(fields):
        return None
    values = dict(fields.get("values", {}))
    if "all" in fields:
        layout = next((axis for axis in axes.values() if isinstance(axis, Layout)), None)
        place, choice = node.fields["all"], fields["all"]
        if layout is None:
            if None not in axes.values():  # else the broken axis may be the layout
                rule = "all needs an axis of type layout under search"
                problems.add(place.key_place, f"{key}.all", rule, remedy="write values instead")
            return None
        if choice not in layout.choices:
            remedy = suggest(choice, layout.choices, "choices are")
            problems.add(place, f"{key}.all", f"{layout.name} has no such choice", value=choice, remedy=remedy)
            return None
        if layout.name in values:
            rule = f"all sets {layout.name}, which values sets as well"
            problems.add(place.key_place, f"{key}.all", rule, remedy="remove one of the two")
            return None
        values[layout.name] = layout.uniform(choice)
    return Control(
        name=fields["name"],
        values=values,
        method=fields.get("method"),
        random=fields.get("random", False),
        trials=fields.get("trials", 1),
        data_fraction=fields.get("data_fraction", data_fraction),
    )


def check_controls(
    root: Node,
    binding: Binding,
    controls: Sequence[Control | None],
    axes: Mapping[str, Domain | None],
    stages: Sequence[StageSpec | None],
    constraints: Sequence[Constraint],
    problems: Problems,
) -> None:
    """Hold every control against the config of its method, and against the constraints."""
    last = stages[-1].fixed if stages and stages[-1] is not None else {}
    sound = not problems.found
    space = Space(tuple(axis for axis in axes.values() if axis is not None), tuple(constraints) if sound else ())
    for index, control in enumerate(controls):
        if control is None:
            continue
        node = root.fields["controls"].items[index]
        key = control_key(node, index)
        if control.method is None:
            # `random` draws the whole space, which is sound only if nothing is wrong with it.
            checked = control if sound else dataclasses.replace(control, random=False)
            before = len(problems.found)
            binding.check_control(checked, {**binding.fixed, **last}, space, node, key)
            if len(problems.found) == before:
                _check_layouts(control, axes, node, key, problems)
        else:
            place = node.fields["method"]
            method = find_method(control.method, place, f"{key}.method", problems)
            if method is not None:
                check_own_data(method, control.method, root, place, f"{key}.method", problems)
                if isinstance(method, ProgramMethod) and "command" in method.Config.model_fields:
                    rule = "a control runs a command of its own by its values alone"
                    remedy = "leave method out, and write values: {command: [...]}"
                    problems.add(place, f"{key}.method", rule, remedy=remedy)
                    continue
                own = Binding(
                    method, control.method, Node({}, place.place, place.place), (), problems, strict=False,
                    objectives=binding.objectives,
                )  # fmt: skip
                own.check_control(control, {}, Space(()), node, key)


def _check_layouts(
    control: Control, axes: Mapping[str, Domain | None], node: Node, key: str, problems: Problems
) -> None:
    """A control's layout has all its bits; the limits of the search it may break: it is there to be compared with."""
    for name, place in node.fields["values"].fields.items() if "values" in node.fields else ():
        axis = axes.get(name)
        if isinstance(axis, Layout):
            free = dataclasses.replace(axis, at_most={})
            if reason := free.refusal(control.values[name]):
                value = control.values[name]
                problems.add(place, f"{key}.values.{name}", reason, value=value, remedy="write all its bits")
