"""Reads plain separated text (no quotes) with pandas' C parser, and says file and line when a rule is broken.

The C parser fills short rows, ignores what it cannot place and names no line for a bad number. So the shape is
checked on the bytes first, and a bad number is looked for only after the fast path failed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchplat.errors import DataError
from trials.data.reading.encoding import read_bytes, text_of, without_mark
from trials.data.reading.ids import Ids, in_order
from trials.data.reading.interactions import Floats, Ints

_ROWS = 1 << 20
"""Of a column of ids that are held as texts at once."""


@dataclass(frozen=True)
class Tokens:
    """A column of ids: `keys[codes[e]]` is the id in row e; `ids` are the same keys with the line of each."""

    codes: Ints
    keys: list[str]
    ids: Ids


@dataclass(frozen=True)
class Table:
    """A checked file: bytes with one separator character, `\\n` line ends, and equally many fields everywhere.

    Args:
        path: For messages.
        data: The rows, without header.
        separator: One character.
        width: Fields a row.
        first_line: Line number of the first row, from 1.
        encoding: Of the text.
    """

    path: Path
    data: bytes
    separator: str
    width: int
    first_line: int
    encoding: str

    def numbers(self, column: int, low: float = -math.inf, high: float = math.inf) -> Floats:
        """A column of finite numbers in [low, high].

        Raises:
            DataError: With the line of the first text that is none.
        """
        try:
            values = self._column(column, "float64").to_numpy()
        except (ValueError, OverflowError):
            values = None
        if values is None or not np.isfinite(values).all():
            self._blame(column, values)
        assert values is not None
        outside = np.flatnonzero((values < low) | (values > high))
        if len(outside):
            row = int(outside[0])
            raise DataError(
                f"{self.path}:{self.first_line + row} field {column + 1} must lie in [{low:g}, {high:g}], "
                f"got {values[row]:.15g}; mend the line or leave it out."
            )
        return np.asarray(values, dtype=np.float64)

    def tokens(self, column: int, what: str = "item") -> Tokens:
        """A column of ids, in the order of their numbers, or of the alphabet.

        Args:
            what: Whose, `user` or `item`.

        Raises:
            DataError: With the line of the first that is none.
        """
        import pandas as pd

        met: dict[str, int] = {}
        parts: list[Ints] = [np.zeros(0, dtype=np.int64)]
        # As texts, some rows at a time: as categories pandas would take 007 and 7, or 1.0 and 1, for one number.
        for rows in self._columns(column, "str", _ROWS):
            codes, names = pd.factorize(rows)
            parts.append(np.array([met.setdefault(str(name), len(met)) for name in names], dtype=np.int64)[codes])
        keys = in_order(met)
        places = np.empty(len(keys), dtype=np.int64)
        places[[met[key] for key in keys]] = np.arange(len(keys))
        codes = places[np.concatenate(parts)]
        first = np.zeros(len(keys), dtype=np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several rows the last that is written, the first, stays
        return Tokens(codes, keys, Ids.of(what, self.path, keys, (first + self.first_line).tolist()))

    def texts(self, column: int) -> list[str]:
        """A column of texts."""
        return [str(text) for text in self._column(column, "str")]

    def _column(self, column: int, dtype: str) -> Any:
        import pandas as pd

        return pd.concat([pd.Series([], dtype=dtype), *self._columns(column, dtype, None)])

    def _columns(self, column: int, dtype: str, rows: int | None) -> Iterator[Any]:
        """A column, so many rows at a time; None for all at once."""
        import pandas as pd

        names = list(range(self.width))
        if not self.data:
            return
        found: Any = pd.read_csv(
            io.BytesIO(self.data),
            sep=self.separator,
            header=None,
            names=names,
            usecols=[column],
            dtype={column: dtype},
            quoting=csv.QUOTE_NONE,
            na_filter=False,
            skip_blank_lines=False,
            encoding=self.encoding,
            engine="c",
            chunksize=rows,
        )
        for frame in [found] if rows is None else found:
            yield frame[column]

    def _blame(self, column: int, values: Floats | None) -> None:
        texts = self.texts(column)
        for row, text in enumerate(texts):
            number = _number(text) if values is None else values[row]
            if number is None or not np.isfinite(number):
                line = self.first_line + row
                raise DataError(f"{self.path}:{line} field {column + 1} must be a finite number, got {text!r}.")
        raise DataError(f"{self.path}: field {column + 1} must hold finite numbers only.")


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # Python takes 1_0 for 10
    except ValueError:
        return None


def read_table(path: Path, what: str, separator: str, columns: Sequence[str] | int, encoding: str = "utf-8") -> Table:
    """Read and check a separated text file without quotes.

    Args:
        path: The file.
        what: What it should be, for messages.
        separator: One or more characters; several are how MovieLens' `.dat` files are written.
        columns: The header line's fields, which the file must begin with; or, if it has no header, their number.
        encoding: Of the text.

    Raises:
        DataError: If it cannot be read, or with the line at which a rule is broken.
    """
    data = read_bytes(path, what)
    text_of(path, data, encoding)
    if data and not data.endswith(b"\n"):
        data += b"\n"
    first_line = 1
    if not isinstance(columns, int):
        header, data = data.split(b"\n", 1) if data else (b"", b"")
        found = header.decode(encoding).split(separator)
        if found != list(columns):
            raise DataError(
                f"{path}:1 header must be {separator.join(columns)!r}, got {separator.join(found)!r}; it is {what}."
            )
        first_line = 2
    width = columns if isinstance(columns, int) else len(columns)
    if len(separator) > 1:
        if (at := data.find(b"\t")) >= 0:
            line = data.count(b"\n", 0, at) + first_line
            raise DataError(f"{path}:{line} a tab may not occur in {what}.")
        data, separator = data.replace(separator.encode(), b"\t"), "\t"
    _check_widths(path, data, separator, width, first_line)
    return Table(path, data, separator, width, first_line, encoding)


def read_header(path: Path, what: str, separator: str) -> list[str]:
    """The fields of a file's first line.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(1 << 16)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); it must be {what}.") from error
    return text_of(path, without_mark(path, line).replace(b"\r\n", b"\n")).rstrip("\n").split(separator)


def _check_widths(path: Path, data: bytes, separator: str, width: int, first_line: int) -> None:
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    separators = np.flatnonzero(raw == ord(separator))
    fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    wrong = np.flatnonzero(fields != width)
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{path}:{first_line + row} must have {width} fields separated by {separator!r}, got {int(fields[row])}."
        )
