"""A document whose every value knows its place, so that a rule checked late can still point at a line.

`strict_yaml` makes these trees, `merge` and `overrides` combine them, `shapes` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from searchplat.spec.space import Scalar


@dataclass(frozen=True)
class Place:
    """A place in a file (line and column from 1), or an override (`--set k=v`, without line and column)."""

    source: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Node:
    """A value with its place.

    Args:
        content: A mapping, a list or a scalar.
        place: Where the value starts.
        key_place: Where its key starts; in a list, where the value starts.
        text_place: Of a text that stands in the file as it is, without escapes and on one line: its first character.
    """

    content: dict[str, Node] | list[Node] | Scalar
    place: Place
    key_place: Place
    text_place: Place | None = field(default=None, compare=False)

    @property
    def fields(self) -> dict[str, Node]:
        """The mapping's entries; empty if this is no mapping."""
        return self.content if isinstance(self.content, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The list's elements; empty if this is no list."""
        return self.content if isinstance(self.content, list) else []

    @property
    def name(self) -> str | None:
        """The text under the key `name`, by which elements of `stages` and `controls` are known."""
        found = self.fields.get("name")
        return found.content if found is not None and isinstance(found.content, str) else None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def at(self, path: Sequence[str | int]) -> Node:
        """The node at `path`, or the deepest one on the way to it."""
        node = self
        for part in path:
            if isinstance(node.content, dict) and part in node.content:
                node = node.content[str(part)]
            elif isinstance(node.content, list) and isinstance(part, int) and 0 <= part < len(node.content):
                node = node.content[part]
            else:
                break
        return node

    def character(self, index: int) -> Place:
        """The place of a text's character; of the text where that cannot be told."""
        first = self.text_place
        if first is None or first.column is None:
            return self.place
        return Place(first.source, first.line, first.column + index)

    def named(self) -> Iterator[tuple[str, Node]]:
        """The list's elements that are mappings with a `name`, by that name."""
        for item in self.items:
            if item.name is not None:
                yield item.name, item

    def kind(self) -> str:
        """What the value is, in words."""
        match self.content:
            case None:
                return "null"
            case bool():
                return "true or false"
            case int():
                return "a whole number"
            case float():
                return "a number"
            case str():
                return "text"
            case dict():
                return "a mapping"
            case _:
                return "a list"
