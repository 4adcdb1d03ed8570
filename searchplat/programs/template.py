"""The command of a space file: words with `{name}` in them, and groups that are left out where a name has no value."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchplat.spec.space import Scalar

Word = str | int | float
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Template:
    """A command whose words may hold `{name}`; `{{` and `}}` are braces.

    Args:
        groups: Words in order, each with whether it is of a group; those of a group come and go together.
    """

    groups: tuple[tuple[bool, tuple[str, ...]], ...]

    @classmethod
    def of(cls, command: Sequence[Word | Sequence[Word]]) -> Template:
        """Read a command.

        Raises:
            ValueError: If a word has a brace without its partner, or something else than a name in braces.
        """
        groups = tuple(
            (isinstance(item, (list, tuple)), tuple(map(text, item if isinstance(item, (list, tuple)) else [item])))
            for item in command
        )
        for _, words in groups:
            for word in words:
                _names(word)
        return cls(groups)

    @property
    def names(self) -> frozenset[str]:
        """All names in braces."""
        return frozenset(name for _, words in self.groups for word in words for name in _names(word))

    @property
    def required(self) -> frozenset[str]:
        """Those that must have a value: that stand outside of groups."""
        return frozenset(
            name for optional, words in self.groups if not optional for word in words for name in _names(word)
        )

    def render(self, values: Mapping[str, Scalar]) -> list[str]:
        """The words to run.

        Args:
            values: By name; a group with a name that is missing, or null, is left out.

        Raises:
            KeyError: If a name outside of groups has no value.
        """
        known = {name: text(value) for name, value in values.items() if value is not None}
        return [
            word.format_map(known)
            for optional, words in self.groups
            if not optional or all(name in known for word in words for name in _names(word))
            for word in words
        ]


def text(value: Scalar) -> str:
    """A value as a word of a command.

    >>> text(1e-05), text(3), text(True), text("adam")
    ('1e-05', '3', 'true', 'adam')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _names(word: str) -> list[str]:
    try:
        parts = list(string.Formatter().parse(word))
    except ValueError as error:
        raise ValueError(f"must have its braces in pairs, got {word!r}; write {{{{ for a brace itself") from error
    names = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if form or conversion or not _NAME.fullmatch(name):
            raise ValueError(f"braces must hold a name alone, got {word!r}; write {{{{ for a brace itself")
        names.append(name)
    return names
