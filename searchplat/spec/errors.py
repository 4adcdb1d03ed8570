"""What is wrong with a space file: every problem with its place, rule, value and remedy.

Problems are collected, not raised one by one, so that a person mends a file in one round.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from searchplat.errors import InputError
from searchplat.spec.document.nodes import Node, Place

UNSAID: Final = object()
"""In place of a value that says no more than the place of a problem; None is a value, `null`."""


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    Args:
        file: The space file, or `--set k=v` for an override.
        line: Line from 1; None where there is none (an override, an unreadable file).
        column: Column from 1, in characters; None likewise.
        key: Dotted key, elements of lists by their names: `stages.layout.trials`; may be empty.
        rule: What must hold.
        value: What was found instead, if that says more than the place.
        remedy: What to do.
    """

    file: str
    line: int | None
    column: int | None
    key: str
    rule: str
    value: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        """One sentence on one line: place, key, rule, value, remedy."""
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        text = f"{place} {self.key}: {self.rule}" if self.key else f"{place}: {self.rule}"
        if self.value is not None:
            text += f", got {self.value}"
        if self.remedy is not None:
            text += f"; {self.remedy}"
        return _one_line(text if text.endswith("?") else f"{text}.")


class SpecError(InputError):
    """A space file breaks rules; the text has a line for each problem, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems: list[Problem] = sorted(unique, key=lambda p: (p.line or 0, p.column or 0))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[list[Problem]]]:
        """Pickle by the problems: the default would hand the text to the constructor."""
        return type(self), (self.problems,)


class Problems:
    """Collects the problems of one reading of a file."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(
        self, where: Node | Place, key: str, rule: str, *, value: Any = UNSAID, got: str | None = None, remedy: str = ""
    ) -> None:
        """Note a problem.

        Args:
            where: Its place; a node stands for the place of its value.
            key: Its dotted key.
            rule: What must hold.
            value: The value found, shown as a space file writes it; `got` instead shows a text as it is.
            got: What was found, in words.
            remedy: What to do.
        """
        place = where.place if isinstance(where, Node) else where
        shown = got if got is not None else None if value is UNSAID else show(value)
        self.found.append(Problem(place.source, place.line, place.column, key, rule, shown, remedy or None))

    def raise_if_any(self) -> None:
        """Raise `SpecError` if a problem was noted."""
        if self.found:
            raise SpecError(self.found)


def show(value: Any, most: int = 80) -> str:
    """Show a value as a space file writes it, cut after `most` characters.

    >>> show(True), show(None), show("a b"), show([1, "x"])
    ('true', 'null', "'a b'", "[1, 'x']")
    """
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(show(item) for item in value) + "]"
    else:
        text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def suggest(word: str, known: Iterable[str], what: str = "known are") -> str:
    """A remedy for an unknown name: the nearest known one, and all known ones."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1)
    listed = f"{what}: {', '.join(names) or 'none'}"
    return f"did you mean {near[0]}? {listed[0].upper()}{listed[1:]}" if near else listed


def join(key: str, part: str) -> str:
    """Dotted key of `part` under `key`."""
    return f"{key}.{part}" if key else part


def _one_line(text: str) -> str:
    """Escape everything that would break or hide the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
