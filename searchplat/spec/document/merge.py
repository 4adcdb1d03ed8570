"""Lays a part of a document over a document: what a scale and an override do.

Mappings merge key by key; `stages` and `controls` merge element by element, by name, and `drop: true` leaves a control
out; everything else is replaced. Two refinements: a null removes a key (except among values, where null is a value),
and an axis, data set, searcher or scheduler that is given another `type` or `name` is replaced whole, as the keys of
the old one mean nothing for the new one.
"""

from __future__ import annotations

from searchplat.contract import FILE
from searchplat.spec.document.nodes import Node

Path = tuple[str, ...]


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """Return `base` with `over` laid over it; both stay as they are.

    Args:
        base: The document, or the part of it at `path`.
        over: What is laid over; its places win where its values do.
        path: Keys from the document's root; elements of lists count as `*`.
    """
    if isinstance(base.content, dict) and isinstance(over.content, dict):
        tag = _tag(path)
        if tag is not None and (new := _kind(over, tag, path)) is not None and new != _kind(base, tag, path):
            return over
        entries = dict(base.content)
        for key, value in over.content.items():
            if value.content is None and not _holds_values(path):
                entries.pop(key, None)
            elif key in entries:
                entries[key] = merge(entries[key], value, (*path, key))
            else:
                entries[key] = _without_nulls(value, (*path, key))
        return Node(entries, base.place, over.key_place)
    if path in (("stages",), ("controls",)) and _all_named(base) and _all_named(over):
        return _merge_named(base, over, path)
    return over


def _merge_named(base: Node, over: Node, path: Path) -> Node:
    items = list(base.items)
    for element in over.items:
        index = next((i for i, item in enumerate(items) if item.name == element.name), None)
        if index is None:
            items.append(_without_nulls(element, (*path, "*")))
        elif path == ("controls",) and "drop" in element.fields and element.fields["drop"].content is True:
            del items[index]
        else:
            items[index] = merge(items[index], element, (*path, "*"))
    return Node(items, base.place, over.key_place)


def _without_nulls(node: Node, path: Path) -> Node:
    """A new part, in which a null has nothing to remove."""
    if not isinstance(node.content, dict) or _holds_values(path):
        return node
    entries = {
        key: _without_nulls(item, (*path, key)) for key, item in node.content.items() if item.content is not None
    }
    return Node(entries, node.place, node.key_place)


def _all_named(node: Node) -> bool:
    """Whether this is a list whose elements can be told apart by their names; a lone element counts as well."""
    return isinstance(node.content, list) and all(item.name is not None for item in node.items)


def _tag(path: Path) -> str | None:
    """The key that says what the other keys of a mapping mean."""
    if len(path) == 2 and path[0] == "search":
        return "type"
    return "name" if path[-1:] in (("data",), ("searcher",), ("scheduler",)) and not _holds_values(path[:-1]) else None


def _kind(node: Node, tag: str, path: Path) -> object:
    """What the tag says; None if it says nothing. Data without a name that has a file is of the kind of all such."""
    if path == ("data",) and tag not in node.fields:
        return (str, FILE) if FILE in node.fields else None
    found = node.fields.get(tag)
    return None if found is None else (type(found.content), found.plain())


def _holds_values(path: Path) -> bool:
    """Whether null is a value in the mapping at `path`."""
    return any(part in ("fixed", "values", "data", "searcher") for part in path) and path[:1] != ("search",)
