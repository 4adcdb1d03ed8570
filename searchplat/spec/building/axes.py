"""From the read `search:` to typed axes: what must hold within an axis, and between an axis and its conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import BROKEN, whole
from searchplat.spec.errors import Problems, show, suggest
from searchplat.spec.prior import Prior
from searchplat.spec.space import Bool, Categorical, Condition, Domain, Float, Int, Layout, Scalar

MOST_BITS = 1000
"""A layout's size, about 2**bits, must stay a floating-point number."""

LayersOf = Callable[[Node, str], int | None]
"""Asks the method for the number of layers that the axis at this node and key covers; None if it does not say."""


def build_axes(
    node: Node, read: Mapping[str, Any], fixed: Mapping[str, Any], layers_of: LayersOf, problems: Problems
) -> dict[str, Domain | None]:
    """Return every axis by name; None stands for one whose problem is noted.

    Args:
        node: The mapping `search:`.
        read: What the grammar read from it.
        fixed: Values that a condition may look at as well.
        layers_of: Asks the method for the number of layers that a layout covers.
        problems: Takes what is wrong.
    """
    axes: dict[str, Domain | None] = {}
    for name, fields in read.items():
        key = f"search.{name}"
        axis = None if not whole(fields) else _build(name, fields, node.fields[name], key, layers_of, problems)
        axes[name] = axis if axis is None else _with_prior(axis, fields, node.fields[name], f"{key}.prior", problems)
    for name, domain in axes.items():
        if domain is not None and domain.when:
            _check_conditions(domain, axes, fixed, node.fields[name].fields["when"], problems)
    return axes


def read_defaults(
    node: Node, read: Mapping[str, Any], axes: Mapping[str, Domain | None], problems: Problems
) -> dict[str, Any]:
    """Return the values that axes have where they are not searched; one that is not on its axis is noted."""
    defaults = {}
    for name, axis in axes.items():
        if axis is None or "default" not in read[name]:
            continue
        value = read[name]["default"]
        if reason := axis.refusal(value):
            place = node.fields[name].fields["default"]
            problems.add(place, f"search.{name}.default", reason, value=value, remedy="choose one on the axis")
        else:
            defaults[name] = value
    return defaults


def _build(
    name: str, fields: dict[str, Any], node: Node, key: str, layers_of: LayersOf, problems: Problems
) -> Domain | None:
    when = tuple(Condition(parent, tuple(values)) for parent, values in fields.get("when", {}).items())
    match fields["type"]:
        case "float" | "int":
            return _numeric(name, fields, node, key, when, problems)
        case "categorical":
            return Categorical(name, tuple(fields["choices"]), fields.get("ordered", False), when)
        case "bool":
            return Bool(name, when)
        case _:
            return _layout(name, fields, node, key, when, layers_of, problems)


def _with_prior(axis: Domain, fields: Mapping[str, Any], node: Node, key: str, problems: Problems) -> Domain | None:
    """The axis with its `prior`; None if a problem with that was noted."""
    if "prior" not in fields:
        return axis
    prior = Prior(**{**fields["prior"], "weights": tuple(fields["prior"].get("weights", ()))})
    places = node.fields["prior"].fields
    if isinstance(axis, Float | Int):
        assert prior.center is not None
        if not axis.low <= prior.center <= axis.high:
            rule = f"must lie in [{axis.low:g}, {axis.high:g}]"
            problems.add(
                places["center"], f"{key}.center", rule, value=prior.center, remedy="choose a value on the axis"
            )
            return None
        if axis.log and prior.spread is not None and prior.spread <= 1:
            rule = "with log, spread is a factor > 1: 3 means from a third to three times the center"
            problems.add(places["spread"], f"{key}.spread", rule, value=prior.spread, remedy="write a factor, 3 say")
            return None
    else:
        choices = [False, True] if isinstance(axis, Bool) else list(axis.choices)
        if len(prior.weights) != len(choices):
            rule = f"must have one weight for each of {', '.join(map(show, choices))}, in this order"
            got = list(prior.weights)
            problems.add(places["weights"], f"{key}.weights", rule, value=got, remedy=f"write {len(choices)} numbers")
            return None
    return replace(axis, prior=prior)


def _numeric(
    name: str, fields: dict[str, Any], node: Node, key: str, when: tuple[Condition, ...], problems: Problems
) -> Float | Int | None:
    low, high, log = fields["low"], fields["high"], fields.get("log", False)
    whole_numbers = fields["type"] == "int"
    step = fields.get("step", 1 if whole_numbers else None)
    before = len(problems.found)
    at = node.fields
    if low > high:
        problems.add(at["low"], key, "low <= high must hold", got=f"low={low:g}, high={high:g}", remedy="swap them")
    if log and low <= 0:
        remedy = "raise low, or search it without log"
        problems.add(at["low"], key, "with log, low > 0 must hold", got=f"low={low:g}", remedy=remedy)
    if log and "step" in fields:
        problems.add(at["step"], key, "log and step exclude each other", remedy="remove one of the two")
    elif step is not None and low <= high:
        steps = (high - low) / step
        if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
            nearest = low + step * math.floor(steps)
            problems.add(
                at["high"],
                key,
                "high must be low plus a multiple of step",
                got=f"low={low:g}, high={high:g}, step={step:g}",
                remedy=f"use high={nearest:g}, say",
            )
    if len(problems.found) > before:
        return None
    if whole_numbers:
        return Int(name, low, high, log, fields.get("step", 1), when)
    return Float(name, low, high, log, step, when)


def _layout(
    name: str,
    fields: dict[str, Any],
    node: Node,
    key: str,
    when: tuple[Condition, ...],
    layers_of: LayersOf,
    problems: Problems,
) -> Layout | None:
    roles, choices, at_most = fields["per_layer"], fields["choices"], fields.get("at_most", {})
    before = len(problems.found)
    for choice in at_most:
        if choice not in choices:
            place = node.fields["at_most"].fields[choice].key_place
            rule = "at_most limits one of the layout's choices"
            problems.add(place, f"{key}.at_most", rule, value=choice, remedy=suggest(choice, choices, "choices are"))
    layers = fields.get("layers")
    if layers is None or layers * len(roles) <= MOST_BITS:
        said = layers_of(node, key)
        if layers is None:
            layers = said
        elif said is not None and said != layers:
            rule = f"the method's layout has {said} layers under these values"
            problems.add(node.fields["layers"], key, rule, value=layers, remedy="remove layers: the method knows it")
    if layers is None or len(problems.found) > before:
        return None
    if layers * len(roles) > MOST_BITS:
        rule = f"a layout has at most {MOST_BITS} bits"
        problems.add(node, key, rule, got=f"{layers} layers of {len(roles)}", remedy="use fewer layers or roles")
        return None
    layout = Layout(name, layers, tuple(roles), (choices[0], choices[1]), at_most, when)
    low, high = layout.count_range()
    if low > high:
        most = f"{choices[0]}: {at_most[choices[0]]}, {choices[1]}: {at_most[choices[1]]}"
        rule = f"the limits must leave room for all {layout.bits} bits"
        problems.add(node.fields["at_most"], f"{key}.at_most", rule, got=most, remedy="raise one of them")
        return None
    return layout


def _check_conditions(
    domain: Domain, axes: Mapping[str, Domain | None], fixed: Mapping[str, Any], when: Node, problems: Problems
) -> None:
    names = list(axes)
    key = f"search.{domain.name}.when"
    for condition in domain.when:
        parent, node = condition.parameter, when.fields[condition.parameter]
        if parent == domain.name:
            problems.add(node.key_place, key, "an axis cannot depend on itself", remedy="remove the condition")
        elif parent in axes:
            if names.index(parent) > names.index(domain.name):
                other = axes[parent]
                cycle = other is not None and any(c.parameter == domain.name for c in other.when)
                rule = "an axis may depend only on axes before it"
                remedy = f"break the cycle with {parent}" if cycle else f"move {parent} before {domain.name}"
                problems.add(node.key_place, key, rule, value=parent, remedy=remedy)
            elif (axis := axes[parent]) is not None:
                _check_values(condition, axis, node, f"{key}.{parent}", problems)
        elif parent in fixed:
            if fixed[parent] is not BROKEN and not _among(fixed[parent], condition.values):
                rule = f"the condition never holds: {parent} is fixed to {show(fixed[parent])}"
                remedy = "remove the axis, or change the fixed value"
                problems.add(node, f"{key}.{parent}", rule, value=node.plain(), remedy=remedy)
        else:
            rule = f"{parent} is neither searched nor fixed"
            problems.add(
                node.key_place, key, rule, remedy=suggest(parent, {*axes, *fixed} - {domain.name}, "known here are")
            )


def _check_values(condition: Condition, axis: Domain, node: Node, key: str, problems: Problems) -> None:
    if isinstance(axis, (Float, Layout)):
        kind = "float" if isinstance(axis, Float) else "layout"
        rule = "a condition needs a parameter of type int, categorical or bool"
        problems.add(node.key_place, key, rule, got=f"one of type {kind}", remedy="condition on another parameter")
        return
    places = node.items or [node]
    for place, value in zip(places, condition.values, strict=False):
        if reason := axis.refusal(value):
            remedy = "give a value that it can have"
            problems.add(place, key, f"{axis.name} {reason}", value=value, remedy=remedy)


def _among(value: Any, allowed: tuple[Scalar, ...]) -> bool:
    return any(type(value) is type(item) and value == item for item in allowed)
