"""From the read `constraints:` to typed ones, and whether a stage has points enough that keep them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from searchplat.spec.document.bounds import is_bound
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import BROKEN
from searchplat.spec.errors import Problems, show, suggest
from searchplat.spec.expression import ExpressionError, WrongKindError, parse
from searchplat.spec.space import Space

LEAST_SHARE = 0.001
"""Of the points drawn, those that keep all constraints: fewer are found by no searcher that draws."""
_DRAWS = 4000
_SURE = 64
"""Draws that meet an operation on values of the wrong kind, if there is one."""


def read_constraints(root: Node, read: Mapping[str, Any], names: Collection[str], problems: Problems) -> list[str]:
    """Return the expressions that are sound.

    Args:
        root: The document.
        read: What the grammar read from it.
        names: Parameters that they may name; empty if these are not known.
        problems: Takes what is wrong.
    """
    texts = read.get("constraints", [])
    found = []
    for index, text in enumerate(texts if texts is not BROKEN else []):
        if text is BROKEN:
            continue
        node, key = root.fields["constraints"].items[index], f"constraints[{index}]"
        try:
            expression = parse(text)
        except ExpressionError as error:
            remedy = _located(node, error.at, text, error.remedy)
            problems.add(node.character(error.at), key, error.rule, got=error.got or None, remedy=remedy)
            continue
        unknown = [name for name in expression.names if names and name not in names]
        for name in unknown:
            at = expression.names[name]
            remedy = _located(node, at, text, suggest(name, names, "known are"))
            if is_bound(text):
                remedy = "a bound on a metric that trials report stands under outcomes"
            problems.add(
                node.character(at), key, f"{name} is neither searched nor a field of the method", remedy=remedy
            )
        if not unknown:
            found.append(text)
    return found


def _located(node: Node, at: int, text: str, remedy: str) -> str:
    """The remedy, and where the file's own column does not say it, before which part of the text."""
    if node.text_place is not None or at >= len(text):
        return remedy
    here = f"at {show(text[at : at + 20])}"
    return f"{here}: {remedy}" if remedy else here


def named_outside(
    space: Space, model: type[BaseModel], given: Mapping[str, Any], absent: Collection[str]
) -> dict[str, Any]:
    """What constraints name that is neither an axis of the space nor given: the method's defaults.

    Args:
        space: A stage's axes and the constraints.
        model: The method's config.
        given: Values that are given.
        absent: Parameters that have no default here: where they have no value, a constraint that names one holds.
    """
    names = {name for constraint in space.constraints for name in constraint.names}
    fields = {name: model.model_fields[name] for name in names if name in model.model_fields}
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in fields.items()
        if name not in space and name not in given and name not in absent and not field.is_required()
    }


@dataclass(frozen=True)
class Kept:
    """How many of the points drawn keep the constraints: all of them, and each alone.

    Args:
        wrong: By constraint, why it cannot be worked out at some point, and that point.
    """

    drawn: int
    all: int
    each: tuple[int, ...]
    wrong: Mapping[int, tuple[str, Mapping[str, Any]]]

    @property
    def share(self) -> float:
        """Share of the points, in [0, 1], that keep all."""
        return self.all / self.drawn


def kept(space: Space, given: Mapping[str, Any], *, enough: int | None = None) -> Kept:
    """Draw points and see which keep the constraints.

    Args:
        space: A stage's axes and the constraints.
        given: Values of parameters outside the space.
        enough: Points that keep them after which no more are drawn; None for all draws.
    """
    rng = np.random.default_rng(0)
    each = [0] * len(space.constraints)
    wrong: dict[int, tuple[str, Mapping[str, Any]]] = {}
    drawn = every = 0
    outside = {name: value for name, value in given.items() if name not in space}
    while drawn < _DRAWS and (enough is None or every < enough or drawn < _SURE):
        seen = {**outside, **space.draw(rng, given)}
        held = []
        for index, constraint in enumerate(space.constraints):
            try:
                held.append(constraint.works_out(seen))
            except WrongKindError as error:
                held.append(False)
                wrong.setdefault(index, (str(error), {name: seen[name] for name in constraint.names}))
            each[index] += held[-1]
        drawn += 1
        every += all(held)
    return Kept(drawn, every, tuple(each), wrong)


def check_stage(space: Space, given: Mapping[str, Any], what: str, root: Node, problems: Problems) -> bool:
    """Note constraints that leave a stage nothing or nearly nothing, or cannot be worked out; whether all is well.

    Args:
        space: The axes that have values in the stage, and the constraints.
        given: Values of other parameters in it.
        what: How to name the stage, e.g. `stage layout`.
        root: The document.
        problems: Takes what is wrong.
    """
    if not space.constraints:
        return True
    node = root.fields["constraints"]
    found = kept(space, given, enough=max(1, round(LEAST_SHARE * _DRAWS)))
    for index, (why, values) in found.wrong.items():
        rule = f"cannot be worked out: {why}"
        problems.add(node.items[index], f"constraints[{index}]", rule, got=show(values), remedy="correct it")
    if found.wrong:
        return False
    if found.share >= LEAST_SHARE:
        return True
    tightest = min(range(len(found.each)), key=lambda index: found.each[index])
    constraint = space.constraints[tightest]
    alone = f"{show(constraint.text)} alone is kept by {found.each[tightest]:,} of them"
    if outside := {name: given[name] for name in constraint.names if name not in space and name in given}:
        alone += f", where {show(outside)}"
    problems.add(
        node.items[tightest],
        "constraints",
        f"must leave {what} at least one point in {1 / LEAST_SHARE:,.0f}",
        got=f"{found.all:,} of {found.drawn:,} points drawn",
        remedy=f"{alone}: loosen it, or change the axes or fixed values that it names",
    )
    return False


def check_defaults(node: Node, space: Space, fixed: Mapping[str, Any], problems: Problems) -> None:
    """Note axes' defaults that break a constraint with each other, or with what is fixed.

    Args:
        node: The mapping `search:`.
        space: All axes and the constraints.
        fixed: Fixed values, and the axes' defaults.
        problems: Takes what is wrong.
    """
    there = {d.name: fixed[d.name] for d in space.domains if d.name in fixed and space.active(d, fixed)}
    for constraint in space.broken(there, fixed):
        named = [name for name in constraint.names if name in there]
        if not named:
            continue  # of fixed values alone: `check_stage` says so
        place, rule = node.fields[named[0]].fields["default"], f"breaks the constraint {show(constraint.text)}"
        got = show({name: fixed[name] for name in constraint.names})
        problems.add(place, f"search.{named[0]}.default", rule, got=got, remedy="choose another default")
