"""What users and items are called: one rule for all readers, and whether two files call them alike.

`1`, `1.0`, `01` and ` 1` are one item to a person and four to a program. So an id is taken as it is written, and two
that differ only in how they are written are refused wherever they meet: in a file, or in two.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from searchplat.errors import DataError

_WHOLE = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?")


class Ids:
    """Ids in the order in which they first come, with where each was met first.

    Args:
        what: `user` or `item`, for messages.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._codes: dict[str, int] = {}
        self._plain: dict[str, str] = {}
        self._paths: list[Path] = []
        self._file, self._line = array("H"), array("q")

    @classmethod
    def of(cls, what: str, path: Path, names: Sequence[str], lines: Iterable[int]) -> Ids:
        """Ids that are known already, each with its first line.

        Raises:
            DataError: As `code`.
        """
        ids = cls(what)
        for name, line in zip(names, lines, strict=True):
            ids.code(path, line, name)
        return ids

    def code(self, path: Path, line: int, name: str) -> int:
        """The number of an id, from 0; a new one is checked first.

        Args:
            path: The file in which it stands.
            line: Its line, from 1; 0 where the file has no lines to speak of.
            name: As it is written.

        Raises:
            DataError: If it is empty, has blanks or quotes around it, or characters that cannot be seen.
        """
        if (code := self._codes.get(name)) is not None:
            return code
        if wrong := wrong_with(name):
            raise DataError(f"{_place(path, line)} {self.what} id {wrong}, got {name[:80]!r}.")
        code = self._codes[name] = len(self._codes)
        if path not in self._paths[-1:]:
            self._paths.append(path)
        self._file.append(len(self._paths) - 1)
        self._line.append(line)
        return code

    def refuse_like(self, path: Path, line: int, name: str) -> None:
        """Refuse an id of another file which is none of these, but differs from one only in how it is written.

        Raises:
            DataError: If it does, or as `code`.
        """
        if wrong := wrong_with(name):
            raise DataError(f"{_place(path, line)} {self.what} id {wrong}, got {name[:80]!r}.")
        if len(self._plain) < len(self._codes):
            self._plain = {plain_id(own): own for own in self._codes}
        if (other := self._plain.get(plain_id(name), name)) != name:
            raise _alike(_place(path, line), self.what, name, self.place(other), other)

    @property
    def names(self) -> list[str]:
        """By their numbers."""
        return list(self._codes)

    def __len__(self) -> int:
        return len(self._codes)

    def __contains__(self, name: object) -> bool:
        return name in self._codes

    def place(self, name: str) -> str:
        """Where an id was met first: file and line."""
        code = self._codes[name]
        return _place(self._paths[self._file[code]], self._line[code])


def in_order(names: Collection[str]) -> list[str]:
    """Ids in the order in which they are numbered: of whole numbers theirs, else that of the alphabet.

    >>> in_order(["10", "9"]), in_order(["10", "9", "a"])
    (['9', '10'], ['10', '9', 'a'])
    """
    return sorted(names, key=int) if all(name.isascii() and name.isdigit() for name in names) else sorted(names)


def refuse_alike(*parts: Ids) -> None:
    """Refuse ids that differ only in how they are written.

    Args:
        parts: Ids of the same users or items, from one file or several.

    Raises:
        DataError: With where both stand.
    """
    met: dict[str, tuple[str, Ids]] = {}
    for part in parts:
        for name in part.names:
            other, where = met.setdefault(plain_id(name), (name, part))
            if other != name:
                raise _alike(part.place(name), part.what, name, where.place(other), other)


def _alike(place: str, what: str, name: str, other_place: str, other: str) -> DataError:
    return DataError(
        f"{place} {what} {name[:80]!r} must be written as everywhere, but {other_place} has {other[:80]!r}; "
        "write both alike."
    )


def _place(path: Path, line: int) -> str:
    return f"{path}:{line}" if line else f"{path}:"


def wrong_with(name: str) -> str | None:
    """What is wrong with an id."""
    if not name:
        return "must not be empty"
    if name != name.strip():
        return "must have no blanks around it"
    if not name.isprintable():
        return "must have no characters that cannot be seen"
    if '"' in name or (len(name) > 1 and name[0] == name[-1] == "'"):
        return "must have no quotes around it, and no double ones in it"
    return None


def plain_id(name: str) -> str:
    """The same for ids that differ only in how they are written."""
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    if found := _WHOLE.fullmatch(name):
        return f"{'-' if found[1] == '-' and found[2] != '0' else ''}{found[2]}"
    return name
