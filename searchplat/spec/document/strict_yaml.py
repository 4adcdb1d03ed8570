"""Strict YAML 1.2 on PyYAML's parser: text in, a tree of values with places out.

PyYAML's own loader follows YAML 1.1 (`no` is False, `1e-3` is text) and lets the last of two equal keys
win. Here only its event stream is used: scalars follow the YAML 1.2 core schema, and what has no use in
a space file is refused: duplicate keys, tags, anchors and aliases (hence also merge keys and "billion
laughs"), several documents, infinite numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.errors import Problems
from searchplat.spec.space import Scalar

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_VALUES = 10_000
"""Keys and values of a file: each is looked at once for every scale."""
LARGEST_INT = 2**63 - 1

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FIXED: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

At = Callable[[Any], Place]
"""Place of a PyYAML mark, whose type differs between its two implementations; None stands for the start."""


def decode(data: bytes, source: str) -> str:
    """Return the text of a file.

    Raises:
        SpecError: If it is too long or not UTF-8.
    """
    problems = Problems()
    if len(data) > MAX_BYTES:
        problems.add(Place(source), "", f"a space file has at most {MAX_BYTES} bytes", remedy="is this a space file?")
        problems.raise_if_any()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        place = Place(source, *line_and_column(before))
        problems.add(
            place, "", "the text must be UTF-8", got=f"the byte 0x{data[error.start]:02x}", remedy="save it as UTF-8"
        )
        problems.raise_if_any()
        raise  # not reached: a problem was just added


def read_file(text: str, source: str) -> Node:
    """Return the document of a space file.

    Args:
        text: Its content.
        source: How errors name it.

    Raises:
        SpecError: With every problem up to the first error of syntax.
    """
    problems = Problems()
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problems.add(Place(source), "", f"a space file has at most {MAX_BYTES} bytes", remedy="is this a space file?")
    elif text.startswith("\ufeff"):
        problems.add(Place(source, 1, 1), "", "may not start with a byte order mark", remedy="save it without one")
    problems.raise_if_any()

    def at(mark: Any) -> Place:
        return Place(source, 1, 1) if mark is None else Place(source, mark.line + 1, mark.column + 1)

    node = _Composer(text, at, problems).document()
    if node is None:
        problems.add(at(None), "", "the file is empty", remedy="start with the key method; see spaces/README.md")
    problems.raise_if_any()
    assert node is not None
    return node


def read_value(text: str, source: str) -> Node:
    """Return the value of an override, by the same rules; its place is `source` without line and column.

    Raises:
        SpecError: If it is not one YAML value.
    """
    problems = Problems()
    if len(text) > MAX_BYTES:
        problems.add(Place(source[:80]), "", f"a value has at most {MAX_BYTES} bytes")
        problems.raise_if_any()
    node = _Composer(text, lambda mark: Place(source), problems).document()
    if node is None:
        problems.add(Place(source), "", "has no value", remedy="write null if nothing is meant")
    problems.raise_if_any()
    assert node is not None
    return node


class _Composer:
    """Builds the tree from PyYAML's events; the depth is checked before recursion can run away."""

    def __init__(self, text: str, at: At, problems: Problems) -> None:
        self.text = text
        self.at = at
        self.problems = problems
        self.values = 0
        self.events = self._events()

    def document(self) -> Node | None:
        """The one document; None if the text has none (or, with a problem noted, if its syntax is broken)."""
        root: Node | None = None
        try:
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if root is not None:
                        self._add(event, "", "a space file is one document", remedy="remove everything from here")
                        break
                    if event.version not in (None, (1, 2)):
                        self._add(event, "", "space files are YAML 1.2", remedy="remove the %YAML line")
                    root = self._node(next(self.events), "", 0, None)
        except _StopReading:
            self.problems.raise_if_any()
        return root

    def _events(self) -> Iterator[yaml.Event]:
        try:
            loader = yaml.SafeLoader(self.text)
        except yaml.reader.ReaderError as error:
            line, column = line_and_column(self.text[: error.position])
            mark = yaml.Mark("", 0, line - 1, column - 1, None, 0)
            code = error.character if isinstance(error.character, int) else ord(error.character)
            self.problems.add(self.at(mark), "", "control characters are not allowed", got=f"U+{code:04X}")
            raise _StopReading from error
        try:
            while loader.check_event():
                yield loader.get_event()  # type: ignore[no-untyped-call]  # untyped in types-PyYAML
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
            raise _StopReading from error
        except (ValueError, OverflowError) as error:
            # PyYAML hands escapes such as "\UFFFFFFFF" and long version numbers to chr() and int() unchecked.
            self.problems.add(self.at(loader.get_mark()), "", f"is not valid YAML: {error}", remedy="mend it here")
            raise _StopReading from error
        finally:
            loader.dispose()

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        place = self.at(error.problem_mark or error.context_mark)
        problem = error.problem or "it breaks off"
        if "'\\t'" in problem:
            self.problems.add(place, "", "tabs may not indent or separate", remedy="use spaces")
        else:
            context = f" ({error.context})" if error.context else ""
            self.problems.add(place, "", f"is not valid YAML: {problem}{context}", remedy="mend the syntax here")

    def _node(self, event: yaml.Event, key: str, depth: int, key_place: Place | None) -> Node:
        place = self.at(event.start_mark)
        if depth > MAX_DEPTH:
            self._add(event, key, f"values are nested at most {MAX_DEPTH} deep", remedy="is this a space file?")
            raise _StopReading
        self.values += 1
        if self.values > MAX_VALUES:
            self._add(event, key, f"a space file has at most {MAX_VALUES} values", remedy="is this a space file?")
            raise _StopReading
        if isinstance(event, yaml.AliasEvent):
            self._add(event, key, "aliases are not allowed", got=f"*{event.anchor}", remedy="write the value out")
            return Node(None, place, key_place or place)
        assert isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent))
        if event.anchor is not None:
            self._add(event, key, "anchors are not allowed", got=f"&{event.anchor}", remedy="remove it")
        if event.tag is not None:
            self._add(event, key, "tags are not allowed", got=str(event.tag), remedy="remove it")
        content: dict[str, Node] | list[Node] | Scalar
        text_place: Place | None = None
        if isinstance(event, yaml.ScalarEvent):
            content, text_place = self._scalar(event, key), _text_place(event, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            content = self._sequence(key, depth)
        else:
            content = self._mapping(key, depth)
        return Node(content, place, key_place or place, text_place)

    def _sequence(self, key: str, depth: int) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{key}[{len(items)}]", depth + 1, None))
        return items

    def _mapping(self, key: str, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            name_node = self._node(event, key, depth + 1, None)
            name = name_node.content
            path = f"{key}.{name}" if key else str(name)
            value = self._node(next(self.events), path if isinstance(name, str) else key, depth + 1, name_node.place)
            if not isinstance(name, str):
                self.problems.add(
                    name_node.place, key, "keys must be text", value=name_node.plain(), remedy="put it in quotes"
                )
            elif name == "<<":
                self.problems.add(name_node.place, key, "merge keys (<<) are not allowed", remedy="write the keys out")
            elif name in entries:
                first = entries[name].key_place
                earlier = "" if first.line is None else f" (first in line {first.line})"
                self.problems.add(name_node.place, path, f"a key may be given once{earlier}", remedy="remove one")
            else:
                entries[name] = value
        return entries

    def _scalar(self, event: yaml.ScalarEvent, key: str) -> Scalar:
        text = event.value
        if _SURROGATE.search(text):
            self._add(event, key, "the text holds half a surrogate pair", remedy="write the character itself")
            return ""
        if event.style is not None or not event.implicit[0]:
            return text
        if text in _FIXED:
            return _FIXED[text]
        if _NOT_FINITE.fullmatch(text):
            self._add(event, key, "numbers must be finite", got=text, remedy="give a finite number")
            return 0.0
        if _INT.fullmatch(text):
            return self._whole(event, key)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                self._add(event, key, "numbers must be finite", got=text[:40], remedy="give a smaller one")
                return 0.0
            return number
        return text

    def _whole(self, event: yaml.ScalarEvent, key: str) -> int:
        text = event.value
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # The length comes first: Python refuses to parse thousands of digits, and they are out of range anyway.
        number = int(text, base) if len(text) <= 80 else LARGEST_INT + 1
        if abs(number) > LARGEST_INT:
            self._add(event, key, "whole numbers must fit 64 bits", got=text[:40], remedy="give a smaller one")
            return 0
        return number

    def _add(self, event: yaml.Event, key: str, rule: str, *, got: str | None = None, remedy: str = "") -> None:
        self.problems.add(self.at(event.start_mark), key, rule, got=got, remedy=remedy)


def _text_place(event: yaml.ScalarEvent, place: Place) -> Place | None:
    """See `Node.text_place`."""
    start, end = event.start_mark, event.end_mark
    quote = int(event.style in ("'", '"'))
    if place.column is None or event.style in ("|", ">") or start is None or end is None or start.line != end.line:
        return None
    verbatim = end.column - start.column - 2 * quote == len(event.value)
    return Place(place.source, place.line, place.column + quote) if verbatim else None


class _StopReading(Exception):  # noqa: N818  # carries no error itself: the problem is in the collector
    """Nothing after this point can be read."""


def line_and_column(before: str) -> tuple[int, int]:
    """The place, both from 1, right after the text `before`."""
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1
