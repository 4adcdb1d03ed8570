"""What a stage's searcher must find: its name in the table, its options, axes that it can search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.spec.building.stages import stage_key
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.typed import check_names, check_values
from searchplat.spec.errors import Problems, suggest
from searchplat.spec.model import StageSpec
from searchplat.spec.space import Categorical, Domain, Space

BELIEVING = ("tpe", "pr")
"""Searchers that look at the priors of axes."""
GENERATIONS = ("cmaes", "nsga2")
"""Searchers that keep count of which trial belongs to which generation."""


def check_searchers(
    root: Node,
    stages: Sequence[StageSpec | None],
    axes: Mapping[str, Domain | None],
    objectives: int,
    problems: Problems,
) -> None:
    """Note unknown searchers and options, and searchers that cannot search their stage's axes or objectives."""
    nodes = root.fields["stages"].items if "stages" in root.fields else [root]
    for index, node in enumerate(nodes):
        searcher = node.fields.get("searcher")
        if searcher is None or searcher.name is None:
            continue  # noted by the grammar
        key = "searcher" if node is root else f"{stage_key(node, nodes)}.searcher"
        if not _known(searcher, searcher.name, key, problems):
            continue
        stage = stages[index] if index < len(stages) else None
        if stage is not None and (rule := breaks(stage, axes, objectives)):
            remedy = "use random, grid, tpe, gp, nsga2 or pr" if objectives > 1 else "use tpe or random, say"
            remedy = f"use {' or '.join(BELIEVING)}, or remove the prior" if "prior of" in rule else remedy
            problems.add(searcher.fields["name"], f"{key}.name", rule, remedy=remedy)
        if stage is not None and stage.repeats is not None and (broken := _no_repeats(stage)):
            place = node.fields.get("repeats", searcher)
            problems.add(place, f"{key.removesuffix('searcher')}repeats", broken[0], remedy=broken[1])


def _known(node: Node, name: str, key: str, problems: Problems) -> bool:
    from searchplat.searchers import SEARCHERS  # it imports `spec.model` itself

    if name not in SEARCHERS:
        remedy = suggest(name, SEARCHERS, "searchers are")
        problems.add(node.fields["name"], f"{key}.name", "there is no searcher of this name", value=name, remedy=remedy)
        return False
    options = {option: value for option, value in node.fields.items() if option != "name"}
    known = check_names(SEARCHERS[name].options, options, key, f"an option of searcher {name}", problems)
    check_values(SEARCHERS[name].options, known, {}, node, key, problems)
    return True


def _no_repeats(stage: StageSpec) -> tuple[str, str] | None:
    """The first rule of `repeats` that a stage breaks, and what to do."""
    if stage.scheduler.name != "none":
        rule = f"{stage.scheduler.name} stops trials early, and values after different epochs have no mean"
        return rule, "remove repeats, or give the stage scheduler: {name: none}"
    if stage.searcher.name in GENERATIONS:
        return f"{stage.searcher.name} counts its trials in generations, which have no room for repeats", (
            "remove repeats, or use random, grid, tpe, gp or pr"
        )
    return None


def grid_is_empty(stage: StageSpec, space: Space, given: Mapping[str, Any]) -> bool:
    """Whether a stage is a grid of which no point keeps the constraints of `space`."""
    if stage.searcher.name != "grid":
        return False
    from searchplat.searchers.grid import gridded  # it imports `spec.model` itself
    from searchplat.searchers.points import enumerate_points

    points = stage.searcher.options.get("points", _grid_points())
    return next(enumerate_points(gridded(space, points), given), None) is None


def _grid_points() -> int:
    from searchplat.searchers.options import GridOptions

    return GridOptions().points


def breaks(stage: StageSpec, axes: Mapping[str, Domain | None], objectives: int) -> str:
    """The first rule of its searcher that a stage breaks; empty if none."""
    name = stage.searcher.name
    own = [axis for axis in (axes.get(parameter) for parameter in stage.over) if axis is not None]
    if name == "cmaes" and objectives > 1:
        return f"cmaes has one objective, not {objectives}"
    if name == "cmaes":
        for axis in own:
            if isinstance(axis, Categorical) and len(axis.choices) > 2:
                return f"cmaes needs axes with an order, which {axis.name} with {len(axis.choices)} choices is not"
    unheard = next((axis.name for axis in own if axis.prior is not None), None)
    if unheard is not None and name not in BELIEVING:
        return f"{name} does not look at what is believed of values, the prior of {unheard}"
    if name == "grid":
        from searchplat.searchers.grid import MOST, gridded  # it imports `spec.model` itself

        points = stage.searcher.options.get("points")
        if not isinstance(points, int) or points < 1:  # not given, or noted already
            points = _grid_points()
        size = gridded(Space(tuple(own)), points).size()
        if size > MOST:
            return f"a grid has at most {MOST:,} points, not {size:,.9g}"
    return ""
