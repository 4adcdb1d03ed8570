"""Shapes of values: each reads a node into a Python value, noting every problem, and describes itself as JSON Schema.

One declaration (`grammar.py`) thus gives the checks, their wording and the schema. A value that breaks its
shape is read as `BROKEN`, and reading goes on, so that all problems of a file come at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from searchplat.spec.document.nodes import Node
from searchplat.spec.errors import Problems, join, show, suggest


class _Broken:
    def __repr__(self) -> str:
        return "BROKEN"

    def __bool__(self) -> bool:
        return False


BROKEN: Final = _Broken()
"""Stands for a value whose problem is noted already; it is falsy."""


def whole(value: Any) -> bool:
    """Whether no part of a read value is broken."""
    if isinstance(value, dict):
        return all(whole(item) for item in value.values())
    if isinstance(value, list):
        return all(whole(item) for item in value)
    return value is not BROKEN


class Shape(Protocol):
    """What a value must look like."""

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return the value, `BROKEN` or with broken parts if it has problems."""
        ...

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema of the shape; `partial` leaves out what a scale need not repeat."""
        ...


@dataclass(frozen=True)
class Text:
    """Text, of one pattern or one of a few words."""

    pattern: str | None = None
    rule: str = "must be text"
    words: tuple[str, ...] = ()
    remedy: str = ""

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return the text."""
        value = node.content
        if not isinstance(value, str):
            remedy = "put it in quotes" if isinstance(value, (bool, int, float)) and not self.words else self.remedy
            problems.add(node, key, self._rule(), got=_got(node), remedy=remedy or f"write {self._example()}")
            return BROKEN
        if self.words and value not in self.words:
            problems.add(node, key, self._rule(), value=value, remedy=suggest(value, self.words))
            return BROKEN
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            problems.add(node, key, self._rule(), value=value, remedy=self.remedy)
            return BROKEN
        return value

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        if self.words:
            return {"enum": list(self.words)}
        return {"type": "string"} if self.pattern is None else {"type": "string", "pattern": f"^({self.pattern})$"}

    def _rule(self) -> str:
        return f"must be {_either(self.words)}" if self.words else self.rule

    def _example(self) -> str:
        return self.words[0] if self.words else "text"


@dataclass(frozen=True)
class Number:
    """A finite number; `integer` allows only whole ones. Bounds: `low` included, `above` excluded."""

    integer: bool = False
    low: float | None = None
    above: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return the number: an int if `integer`, else a float; or one of the words."""
        value = node.content
        if isinstance(value, str) and value in self.words:
            return value
        kinds = (int,) if self.integer else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            remedy = "give a whole number" if self.integer else "give a number"
            if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", value):
                remedy = "remove the quotes"
            problems.add(node, key, self._rule(), got=_got(node), remedy=remedy)
            return BROKEN
        if (
            (self.low is not None and value < self.low)
            or (self.above is not None and value <= self.above)
            or (self.high is not None and value > self.high)
        ):
            problems.add(node, key, self._rule(), value=value, remedy="give one in that range")
            return BROKEN
        return value if self.integer else float(value)

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        bounds = {"minimum": self.low, "exclusiveMinimum": self.above, "maximum": self.high}
        number = {"type": "integer" if self.integer else "number", **{k: v for k, v in bounds.items() if v is not None}}
        return {"anyOf": [number, {"enum": list(self.words)}]} if self.words else number

    def _rule(self) -> str:
        parts = [f">= {self.low}"] if self.low is not None else []
        parts += [f"> {self.above}"] if self.above is not None else []
        parts += [f"<= {self.high}"] if self.high is not None else []
        kind = "a whole number" if self.integer else "a number"
        words = f"{' or '.join(self.words)} or " if self.words else ""
        return f"must be {words}{' '.join([kind, ' and '.join(parts)]).strip()}"


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return the bool."""
        if isinstance(node.content, bool):
            return node.content
        problems.add(node, key, "must be true or false", got=_got(node), remedy="YAML 1.2 knows only true and false")
        return BROKEN

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Anything:
    """Any value; `scalar` refuses lists and mappings."""

    scalar: bool = False

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return the plain value."""
        if self.scalar and isinstance(node.content, (list, dict)):
            rule = "must be a single value (text, a number, true, false or null)"
            problems.add(node, key, rule, got=_got(node), remedy="write it without brackets")
            return BROKEN
        return node.plain()

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        return {"type": ["string", "number", "boolean", "null"]} if self.scalar else {}


@dataclass(frozen=True)
class ListOf:
    """A list, of distinct values unless it is said; `or_one` also takes a single value, as a list of it."""

    item: Shape
    least: int = 1
    most: int | None = None
    or_one: bool = False
    distinct: bool = True

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return the list."""
        if not isinstance(node.content, list):
            if self.or_one:
                return [self.item.read(node, key, problems)]
            problems.add(node, key, "must be a list", got=_got(node), remedy="write it in brackets: [a, b]")
            return BROKEN
        count = len(node.content)
        if count < self.least or (self.most is not None and count > self.most):
            limit = self.least if count < self.least else self.most
            bound = "exactly" if self.least == self.most else "at least" if count < self.least else "at most"
            problems.add(node, key, f"must have {bound} {limit} element{'s' * (limit != 1)}", got=str(count))
            return BROKEN
        values = [self.item.read(item, _element(key, i, item), problems) for i, item in enumerate(node.content)]
        seen: set[tuple[type, str]] = set()  # by text, as values may be unhashable; by type, as 1 and true are equal
        for item, value in zip(node.content, values, strict=True):
            identity = (type(value), repr(value))
            if self.distinct and identity in seen and whole(value):
                problems.add(item, key, "elements must differ", value=item.plain(), remedy="remove one of the two")
                return BROKEN
            seen.add(identity)
        return values

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        items = self.item.schema(partial=partial)
        if partial and isinstance(self.item, Fields) and "name" in self.item.fields:
            items["required"] = ["name"]  # a scale's elements are merged by name
        schema: dict[str, Any] = {"type": "array", "items": items, "minItems": self.least}
        if self.distinct:
            schema["uniqueItems"] = True
        if self.most is not None:
            schema["maxItems"] = self.most
        return {"anyOf": [items, schema]} if self.or_one else schema


@dataclass(frozen=True)
class MapOf:
    """A mapping from free names to values of one shape; `keys` is the pattern of the names."""

    item: Shape
    keys: str | None = None
    rule: str = ""
    least: int = 0

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return a dict in the order of the file."""
        if not isinstance(node.content, dict):
            problems.add(node, key, "must be a mapping", got=_got(node), remedy="write key: value pairs")
            return BROKEN
        if len(node.content) < self.least:
            problems.add(node, key, f"must have at least {self.least} key", got="none")
            return BROKEN
        values = {}
        for name, item in node.content.items():
            if self.keys is not None and not re.fullmatch(self.keys, name):
                problems.add(item.key_place, key, self.rule, value=name, remedy="choose another name")
            values[name] = self.item.read(item, join(key, name), problems)
        return values

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        schema: dict[str, Any] = {"type": "object", "additionalProperties": _or_null(self.item, partial)}
        if self.keys is not None:
            schema["propertyNames"] = {"pattern": f"^({self.keys})$"}
        if self.least and not partial:
            schema["minProperties"] = self.least
        return schema


@dataclass(frozen=True)
class Field:
    """A key of a mapping: its shape, what it means, and whether it must be there."""

    shape: Shape
    doc: str
    required: bool = False


@dataclass(frozen=True)
class Fields:
    """A mapping with known keys; with `open`, further keys hold values of that shape."""

    fields: Mapping[str, Field]
    open: Shape | None = None
    what: str = "this mapping"
    elsewhere: tuple[str, ...] = ()
    """Keys that stand in the file but were taken out before; only errors name them."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """Required keys by another that may stand in their place in a file, before `read` sees it; for the schema."""

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return a dict of the keys that are there; a required one that is missing is `BROKEN`."""
        if not isinstance(node.content, dict):
            known = ", ".join((*self.fields, *self.elsewhere))
            remedy = f"write key: value pairs; keys are {known}" if known else "write key: value pairs"
            problems.add(node, key, "must be a mapping", got=_got(node), remedy=remedy)
            return BROKEN
        values: dict[str, Any] = {}
        for name, item in node.content.items():
            if name in self.fields:
                values[name] = self.fields[name].shape.read(item, join(key, name), problems)
            elif self.open is not None:
                values[name] = self.open.read(item, join(key, name), problems)
            else:
                rule = f"is not a key of {self.what}"
                problems.add(
                    item.key_place,
                    join(key, name),
                    rule,
                    remedy=suggest(name, [*self.fields, *self.elsewhere], "keys are"),
                )
        for name, known_field in self.fields.items():
            if known_field.required and name not in values:
                problems.add(node, key, f"must have the key {name}", remedy=f"add it: {known_field.doc}")
                values[name] = BROKEN
        return values

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                name: {**_or_null(item.shape, partial, erasable=not item.required), "description": item.doc}
                for name, item in self.fields.items()
            },
            "additionalProperties": False if self.open is None else self.open.schema(partial=partial),
        }
        required = [name for name, item in self.fields.items() if item.required and not partial]
        choices = [
            {"anyOf": [{"required": [name]}, {"required": [self.instead[name]]}]}
            for name in required
            if name in self.instead
        ]
        required = [name for name in required if name not in self.instead]
        return {**schema, **({"required": required} if required else {}), **({"allOf": choices} if choices else {})}


@dataclass(frozen=True)
class Tagged:
    """A mapping whose key `tag` says which further keys it has."""

    tag: str
    variants: Mapping[str, Fields]
    doc: str
    what: str = "this mapping"

    def read(self, node: Node, key: str, problems: Problems) -> Any:
        """Return a dict that holds the tag as well; `BROKEN` if there is no known tag."""
        if not isinstance(node.content, dict):
            remedy = f"write {{{self.tag}: {next(iter(self.variants))}, ...}}"
            problems.add(node, key, "must be a mapping", got=_got(node), remedy=remedy)
            return BROKEN
        if self.tag not in node.content:
            problems.add(
                node, key, f"must have the key {self.tag}", remedy=f"add it, one of: {', '.join(self.variants)}"
            )
            return BROKEN
        kind = Text(words=tuple(self.variants)).read(node.content[self.tag], join(key, self.tag), problems)
        return BROKEN if kind is BROKEN else self.variants[kind].read(node, key, problems)

    def schema(self, *, partial: bool = False) -> dict[str, Any]:
        """JSON Schema."""
        variants = []
        for name, variant in self.variants.items():
            schema = variant.schema(partial=partial)
            schema["properties"] |= {self.tag: {"const": name, "description": self.doc}}
            if not partial:
                schema["required"] = [self.tag, *schema.get("required", [])]
            variants.append(schema)
        return {"anyOf" if partial else "oneOf": variants}


def _got(node: Node) -> str:
    if isinstance(node.content, (dict, list)) or node.content is None:
        return node.kind()
    return f"{show(node.content)}" if isinstance(node.content, str) else f"{node.kind()}, {show(node.content)}"


def _element(key: str, index: int, node: Node) -> str:
    return join(key, node.name) if node.name is not None else f"{key}[{index}]"


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _or_null(shape: Shape, partial: bool, *, erasable: bool = True) -> dict[str, Any]:
    schema = shape.schema(partial=partial)
    return {"anyOf": [schema, {"type": "null"}]} if partial and erasable and schema else schema
