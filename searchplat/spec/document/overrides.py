"""`--set k=v`: changes to a document after its scale was chosen.

A dotted key is a path (`stages.layout.trials=5`, elements of lists by name). A bare key that names a field
of the method is fixed for the whole search: it leaves `search`, the stages' `over` and `fixed`, and axes
whose condition it breaks leave with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from searchplat.spec.document.merge import merge
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.document.strict_yaml import read_value
from searchplat.spec.errors import Problems, SpecError, suggest
from searchplat.spec.grammar import BODY

_BY_NAME = ("stages", "controls")


@dataclass(frozen=True)
class Override:
    """One `k=v`, read."""

    key: str
    value: Node
    place: Place


def apply_overrides(
    root: Node, items: Sequence[str], fields: Callable[[Node], Collection[str]], problems: Problems
) -> Node:
    """Return the document with the overrides applied in their order.

    Args:
        root: The document at its scale.
        items: Texts `k=v`.
        fields: Names of the fields of the document's method.
        problems: Takes what is wrong with the overrides themselves.
    """
    for item in items:
        override = _read(item, problems)
        if override is not None:
            root = _apply(root, override, fields(root), problems)
    return root


def _read(item: str, problems: Problems) -> Override | None:
    place = Place(f"--set {item if len(item) <= 120 else item[:117] + '...'}")
    key, sign, text = item.partition("=")
    if not sign or not all(key.split(".")):
        problems.add(place, "", "an override has the form key=value", remedy="write --set fixed.epochs=3, say")
        return None
    try:
        return Override(key, read_value(text, place.source), place)
    except SpecError as error:
        problems.found.extend(error.problems)
        return None


def _apply(root: Node, override: Override, fields: Collection[str], problems: Problems) -> Node:
    if not isinstance(root.content, dict):
        return root
    first, _, rest = override.key.partition(".")
    searched = root.at(["search"]).fields if "search" in root.fields else {}
    if first in BODY.fields:
        part = _part(root, override, problems)
        return root if part is None else merge(root, part)
    if first in fields or first in searched:
        if rest:
            near = f"search.{override.key}" if first in searched else first
            problems.add(override.place, first, "a field of the method has no keys", remedy=f"did you mean {near}?")
            return root
        return _fix(root, override)
    known = [*BODY.fields, *fields, *searched]
    rule = "is neither a key of a space file nor a field of the method"
    if first in ("scales", "default_scale"):
        rule = "scales are merged before overrides apply"
        problems.add(override.place, override.key, rule, remedy="choose one with --scale, or set the key itself")
        return root
    problems.add(override.place, override.key, rule, remedy=suggest(first, known))
    return root


def _part(root: Node, override: Override, problems: Problems) -> Node | None:
    """The nested part of a document that a dotted key stands for."""
    first, _, rest = override.key.partition(".")
    value = Node(override.value.content, override.place, override.place)
    if not rest:
        return _wrap(value, [first])
    if first not in _BY_NAME:
        return _wrap(value, override.key.split("."))
    # Names of elements may hold dots themselves: the longest one that fits is meant.
    names = [name for name, _ in root.fields[first].named()] if first in root.fields else []
    fits = [name for name in names if rest == name or rest.startswith(f"{name}.")]
    if not fits:
        rule = f"there is no element of {first} with this name"
        problems.add(override.place, override.key, rule, remedy=suggest(rest.split(".")[0], names))
        return None
    name = max(fits, key=len)
    inner = rest[len(name) + 1 :]
    if not inner and first == "controls" and value.content is None:
        inner, value = "drop", Node(True, override.place, override.place)
    if not inner:
        problems.add(override.place, override.key, f"which key of {name} to set is missing", remedy="add .trials, say")
        return None
    part = _wrap(value, inner.split("."))
    assert isinstance(part.content, dict)
    element = {"name": Node(name, override.place, override.place), **part.content}
    if "name" in part.content:
        problems.add(override.place, override.key, "the name of an element cannot be set", remedy="change the file")
        return None
    return _wrap(Node([Node(element, override.place, override.place)], override.place, override.place), [first])


def _wrap(value: Node, keys: Sequence[str]) -> Node:
    for key in reversed(keys):
        value = Node({key: value}, value.place, value.place)
    return value


def _fix(root: Node, override: Override) -> Node:
    """Fix a parameter for the whole search."""
    value = Node(override.value.content, override.place, override.place)
    entries = dict(root.fields)
    gone = _gone(entries.get("search"), override.key, value)
    fixed = entries.get("fixed", Node({}, override.place, override.place))
    if isinstance(fixed.content, dict):
        entries["fixed"] = _replace(fixed, {**fixed.content, override.key: value})
    if "search" in entries and isinstance(entries["search"].content, dict):
        left = {name: axis for name, axis in entries["search"].content.items() if name not in gone}
        entries["search"] = _replace(entries["search"], left)
    if "stages" in entries and isinstance(entries["stages"].content, list):
        entries = _thin_stages(entries, override.key, gone)
    entries = _thin_points(entries, gone)
    if "controls" in entries and isinstance(entries["controls"].content, list):
        entries["controls"] = _without_uniform_layouts(entries)
    return _replace(root, entries)


def _without_uniform_layouts(entries: Mapping[str, Node]) -> Node:
    """The controls, less those with `all:` once no layout is searched any more: all would be the same."""
    controls = entries["controls"]
    axes = entries["search"].fields.values() if "search" in entries else ()
    if any(axis.at(["type"]).content == "layout" for axis in axes if "type" in axis.fields):
        return controls
    return _replace(controls, [control for control in controls.items if "all" not in control.fields])


def _gone(search: Node | None, key: str, value: Node) -> set[str]:
    """The axis `key`, and the axes that can never be active once `key` has this value."""
    gone = {key}
    axes = search.fields if search is not None else {}
    for name, axis in axes.items():  # a condition's parameter comes first, so one pass is enough
        for parent, values in axis.at(["when"]).fields.items() if "when" in axis.fields else ():
            allowed = [node.plain() for node in values.items] or [values.plain()]
            fits = any(type(item) is type(value.plain()) and item == value.plain() for item in allowed)
            if parent in gone and not (parent == key and fits):
                gone.add(name)
    return gone


def _thin_stages(entries: dict[str, Node], key: str, gone: set[str]) -> dict[str, Node]:
    """Take the parameters out of all stages; a stage with nothing left to search is skipped."""
    kept: list[Node] = []
    onward: dict[str, Node | None] = {}  # a skipped stage's name -> what it built on itself
    for stage in entries["stages"].items:
        fields = dict(stage.fields)
        if "fixed" in fields and key in fields["fixed"].fields:
            fields["fixed"] = _replace(fields["fixed"], {k: v for k, v in fields["fixed"].fields.items() if k != key})
        source = fields["from"].at(["stage"]).content if "from" in fields else None
        if isinstance(source, str) and source in onward:
            further = onward[source]
            fields.pop("from")
            fields |= {"from": further} if further is not None else {}
        if "over" in fields and isinstance(fields["over"].content, list):
            over = [
                node for node in fields["over"].content if not (isinstance(node.content, str) and node.content in gone)
            ]
            # One that trained the best of a skipped stage again has nothing to train either.
            again = not fields["over"].content and isinstance(source, str) and source in onward and "from" not in fields
            if not over and (fields["over"].content or again) and stage.name is not None:
                onward[stage.name] = fields.get("from")
                continue
            fields = _thin_points({**fields, "over": _replace(fields["over"], over)}, gone)
        kept.append(_replace(stage, fields) if isinstance(stage.content, dict) else stage)
    if kept:
        return {**entries, "stages": _replace(entries["stages"], kept)}
    return {name: node for name, node in entries.items() if name != "stages"}


def _thin_points(entries: dict[str, Node], gone: set[str]) -> dict[str, Node]:
    """Take the parameters out of `points`; of points that are then equal one is left, and none that says nothing."""
    points = entries.get("points")
    if points is None or not any(name in point.fields for name in gone for point in points.items):
        return entries
    kept: dict[str, Node] = {}
    for point in points.items:
        left = {name: value for name, value in point.fields.items() if name not in gone}
        if left or not point.fields:
            thinned = _replace(point, left) if point.fields else point
            kept.setdefault(repr(thinned.plain()), thinned)
    if kept:
        return {**entries, "points": _replace(points, list(kept.values()))}
    return {name: node for name, node in entries.items() if name != "points"}


def _replace(node: Node, content: dict[str, Node] | list[Node]) -> Node:
    return Node(content, node.place, node.key_place)
