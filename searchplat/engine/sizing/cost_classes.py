"""Which configurations of a stage are measured to learn what its trials cost: those at the ends of what costs.

What a trial needs depends on layouts, sizes and choices, hardly on rates and weights. So real axes stay at their
defaults, and stages that differ in them alone have the same classes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.seeds import derive_seed
from searchplat.errors import InputError
from searchplat.methods import load_method
from searchplat.searchers.nearest import nearest
from searchplat.spec.building.constraints import named_outside
from searchplat.spec.model import SearchSpec, StageSpec
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int, Layout, Space

MOST = 8
"""Classes of a stage: each is a training, and beyond these a space has more corners than any measuring finds."""


@dataclass(frozen=True)
class CostClass:
    """A configuration that is measured. `config` is the method's whole config."""

    name: str
    config: Values


def cost_classes(spec: SearchSpec, stage: StageSpec) -> list[CostClass]:
    """The stage's configurations to measure, at least one, different from each other.

    For a layout: all bits of either choice, and a random one. Else the defaults. Then the corner of the largest
    numbers, and the defaults with every other choice of a text axis, one at a time.
    """
    space = _space(spec, stage)
    base = {**spec.fixed, **stage.fixed}
    rng = np.random.default_rng(derive_seed(spec.seed, "cost classes"))
    drawn = space.sample(rng, base)
    layout = next((axis for axis in space.domains if isinstance(axis, Layout)), None)
    plans: list[tuple[str, Values]] = []
    if layout is None:
        plans.append(("defaults", {}))
    else:
        uniform = [(f"all {choice}", layout.uniform(choice)) for choice in layout.choices]
        plans += [(name, {layout.name: text}) for name, text in uniform if layout.refusal(text) is None]
        plans.append(("random layout", {layout.name: drawn.get(layout.name, layout.uniform(layout.choices[0]))}))
    shape = plans[-1][1]
    largest = {axis.name: value for axis in space.domains if (value := _largest(axis)) is not None}
    plans.append(("largest", {**shape, **largest}))
    for axis in space.domains:
        if isinstance(axis, Categorical) and axis.name not in largest:
            plans += [(f"{axis.name}={choice}", {**shape, axis.name: choice}) for choice in axis.choices]
    found: dict[str, CostClass] = {}
    rules = Space(space.domains, spec.space.constraints)
    for name, values in plans:
        config = _config(spec.method, base, rules, values, rng)
        if config is not None:
            found.setdefault(json.dumps(config, sort_keys=True), CostClass(name, config))
    if not found:  # defaults do not go together: whatever the space holds does
        everything = spec.space.only((*space.names, *stage.over)).sample(rng, base)
        return [CostClass("random", full_config(spec.method, {**base, **everything}))]
    return list(found.values())[:MOST]


def _space(spec: SearchSpec, stage: StageSpec) -> Space:
    """Axes that differ between the stage's trials or come from an earlier stage, without the real ones."""
    names, at = set(stage.over), stage
    while at.start_from is not None:
        at = next(other for other in spec.stages if other.name == at.start_from.stage)
        names |= set(at.over)
    return Space(tuple(d for d in spec.space.domains if d.name in names and not isinstance(d, Float)))


def _largest(axis: Domain) -> Any:
    """The end of an axis where trials should cost most; None where that cannot be said."""
    if isinstance(axis, Int):
        return axis.low + int(axis.size() - 1) * axis.step
    if isinstance(axis, Categorical):
        if all(isinstance(choice, (int, float)) and not isinstance(choice, bool) for choice in axis.choices):
            return max(axis.choices, key=lambda choice: float(choice))  # type: ignore[arg-type]
        return axis.choices[-1] if axis.ordered else None
    return True if isinstance(axis, Bool) else None


def _config(method: str, base: Values, space: Space, values: Values, rng: np.random.Generator) -> Values | None:
    """The method's config of the values whose conditions hold; None if it refuses them, or there is no such point.

    Of values that break a constraint together those near them that keep it: no trial is as large as they would be.
    """
    seen = dict(base)
    for axis in space.domains:
        if axis.name in values and space.active(axis, seen):
            seen[axis.name] = values[axis.name]
    given = {name: value for name, value in base.items() if name not in space}
    given |= named_outside(space, load_method(method).Config, given, ())
    point = {axis.name: seen[axis.name] for axis in space.domains if axis.name in seen}
    if space.broken(point, given):
        near = nearest(space, point, rng, given, set())
        if near is None:
            return None
        seen |= near
    try:
        return full_config(method, seen)
    except InputError:
        return None
