"""`points:` of a stage: what is wrong with them, and the whole points that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.spec.building.stages import stage_key
from searchplat.spec.document.nodes import Node
from searchplat.spec.errors import Problems, show, suggest
from searchplat.spec.model import StageSpec
from searchplat.spec.space import DRAWS, Domain, Float, NoPointError, Space


def complete(
    space: Space,
    point: Mapping[str, Any],
    defaults: Mapping[str, Any],
    rng: np.random.Generator,
    given: Mapping[str, Any],
) -> Values:
    """The point of a space that has these values: axes without one have their default, or are drawn.

    Args:
        space: A stage's axes and the constraints.
        point: Values of some of the axes.
        defaults: Values of axes that the point leaves out.
        rng: Draws the others.
        given: Values of parameters outside the space.

    Raises:
        NoPointError: If nothing that could be drawn keeps the constraints together with these values.
    """
    known = {name: value for name, value in {**defaults, **point}.items() if name in space}
    open_ = any(domain.name not in known for domain in space.domains)
    for _ in range(DRAWS if open_ else 1):
        whole = space.draw(rng, given, known)
        broken = space.broken(whole, given)
        if not broken:
            return whole
    raise NoPointError(f"breaks the constraint {show(broken[0].text)}")


def sample_with(space: Space, rng: np.random.Generator, given: Mapping[str, Any], values: Mapping[str, Any]) -> Values:
    """A point drawn as `Space.sample`, with these values in the place of its own: the constraints hold with them.

    Raises:
        NoPointError: If none of 20,000 points drawn keeps the constraints.
    """
    for _ in range(DRAWS):
        point = {**space.draw(rng, given), **values}
        if not space.broken(point, given):
            return point
    raise NoPointError(f"none of {DRAWS:,} points drawn keeps the constraints with {show(dict(values))}")


def canonical(space: Space, point: Mapping[str, Any]) -> Values:
    """The point with numbers as its axes have them: 1 on a real axis is 1.0."""
    return {name: _on_axis(space[name], value) for name, value in point.items()}


def check_points(
    root: Node,
    stages: Sequence[StageSpec | None],
    axes: Mapping[str, Domain | None],
    defaults: Mapping[str, Any],
    problems: Problems,
) -> None:
    """Note points that name no axis of their stage, have values off the axes, or contradict a condition."""
    nodes = root.fields["stages"].items if "stages" in root.fields else [root]
    for node, stage in zip(nodes, stages, strict=False):
        if stage is None or not stage.points:
            continue
        key = "points" if node is root else f"{stage_key(node, nodes)}.points"
        places = node.fields["points"]
        if len(stage.points) > stage.trials:
            rule = "a stage has at least as many trials as points"
            got = f"{len(stage.points)} points and trials: {stage.trials}"
            problems.add(places.key_place, key, rule, got=got, remedy="raise trials, or remove some points")
        for index, place in enumerate(places.items):
            _check(place, f"{key}[{index}]", stage, axes, defaults, problems)


def _check(
    node: Node,
    key: str,
    stage: StageSpec,
    axes: Mapping[str, Domain | None],
    defaults: Mapping[str, Any],
    problems: Problems,
) -> None:
    own = [name for name in stage.over if name in axes]
    values = {name: place.plain() for name, place in node.fields.items()}
    known = {**{name: value for name, value in defaults.items() if name in own}, **values}
    for name, place in node.fields.items():
        if name not in own:
            rule = f"is not a parameter that stage {stage.name} searches"
            problems.add(place.key_place, f"{key}.{name}", rule, remedy=suggest(name, own, "it searches"))
            continue
        axis = axes[name]
        if axis is None:
            continue  # noted already
        if reason := _refusal(axis, values[name]):
            problems.add(place, f"{key}.{name}", reason, value=values[name], remedy="choose a value on the axis")
        for condition in axis.when:
            parent = condition.parameter
            allowed = " or ".join(map(show, condition.values))
            if parent not in own:
                continue
            if parent not in known:
                rule = f"{name} is there only while {parent} is {allowed}, and the point does not say {parent}"
                problems.add(place.key_place, f"{key}.{name}", rule, remedy=f"give {parent} as well")
            elif not any(type(known[parent]) is type(v) and known[parent] == v for v in condition.values):
                rule = f"{name} is there only while {parent} is {allowed}"
                got = f"{parent}: {show(known[parent])}"
                problems.add(place.key_place, f"{key}.{name}", rule, got=got, remedy="remove one of the two")


def check_whole(
    root: Node,
    stage: StageSpec,
    space: Space,
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    refused: Callable[[Values], str | None],
    problems: Problems,
) -> None:
    """Note points that break a constraint or that the method refuses, whatever is drawn for what they leave out.

    Only of stages that take nothing over: of others it depends on what that is.

    Args:
        space: The stage's axes and the constraints.
        given: Values of parameters outside the space.
        refused: Says why the method refuses values, or None.
    """
    nodes = root.fields["stages"].items if "stages" in root.fields else [root]
    node = next(node for node in nodes if node is root or node.name == stage.name)
    key = "points" if node is root else f"{stage_key(node, nodes)}.points"
    for index, point in enumerate(stage.points):
        place, rng = node.fields["points"].items[index], np.random.default_rng(0)
        try:
            whole = complete(space, canonical(space, point), defaults, rng, given)
        except NoPointError as error:
            remedy = "change the point, or what it leaves out"
            problems.add(place, f"{key}[{index}]", str(error), value=dict(point), remedy=remedy)
            continue
        if absent := [name for name in point if name not in whole]:
            rule = f"{absent[0]} is not there under the fixed values of this stage"
            problems.add(place.fields[absent[0]].key_place, f"{key}[{index}].{absent[0]}", rule, remedy="remove it")
        elif why := refused(whole):
            problems.add(place, f"{key}[{index}]", why, value=whole, remedy="change the point")


def _refusal(axis: Domain, value: Any) -> str | None:
    if (reason := axis.refusal(value)) or not isinstance(axis, Float) or axis.step is None:
        return reason
    on_grid = abs(value - _on_axis(axis, value)) <= 1e-9 * axis.step
    return None if on_grid else f"must be {axis.low} plus a multiple of {axis.step}"


def _on_axis(axis: Domain, value: Any) -> Any:
    if not isinstance(axis, Float):
        return value
    return float(value) if axis.step is None else axis.level(round((value - axis.low) / axis.step))
