"""The columns of a person's file, whatever its format, with the line of each row: one way to read all of them.

| ending | format |
|---|---|
| `.parquet`, `.pq` | Parquet |
| `.jsonl`, `.ndjson`, `.json` | a JSON object a line |
| any other | text with a separator; RecBole's atomic file where every field of the header is `name:type` |

Text may be packed (`.gz`). A data frame is read as Parquet is.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from searchplat.contract import FileProblem
from searchplat.errors import DataError
from trials.data.reading.atomic import TYPES
from trials.data.reading.encoding import read_bytes, text_of, without_mark
from trials.data.reading.interactions import Ints
from trials.data.reading.lines import LARGEST_RATIO, SMALL, json_objects, shown

if TYPE_CHECKING:
    import pandas as pd

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson", ".json")
SEPARATORS = (",", "\t", ";", "|")
SHOWN = 5
"""Lines that a problem names."""
FRAME = Path("DataFrame")
"""How messages name a data frame."""
_BLOCK = 64 << 20
"""Bytes that are parsed at once; a row must fit."""


class Columns(Protocol):
    """A file that was opened."""

    @property
    def path(self) -> Path:
        """For messages."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """What the columns are called, in order."""
        ...

    @property
    def atomic(self) -> bool:
        """Whether it is one of RecBole's atomic files."""
        ...

    def read(self, names: Sequence[str]) -> list[Any]:
        """Columns as `pyarrow` arrays: texts of a text file, in which an empty one is empty and not null.

        Raises:
            DataError: If the file cannot be read on.
        """
        ...

    @property
    def lines_E(self) -> Ints:
        """The line of each row, from 1; of what has no lines, the row."""
        ...

    @property
    def problems(self) -> list[FileProblem]:
        """What was wrong with rows, which were passed over; complete after `read`."""
        ...


def open_columns(
    data: Path | pd.DataFrame,
    wanted: Sequence[str] = (),
    separator: str | None = None,
    names: Sequence[str] | None = None,
) -> Columns:
    """Open a file, or a data frame.

    Args:
        wanted: Columns that it should have, by which the separator is found.
        separator: Between the fields of a text file.
        names: The columns' names, if the text file has no header line.

    Raises:
        DataError: If it cannot be read, or has no header.
    """
    if not isinstance(data, Path):
        return ArrowColumns(FRAME, _table_of(data))
    suffix = kind_of(data)
    if suffix in PARQUET:
        return ArrowColumns(data, _parquet(data))
    if suffix in JSON_LINES:
        return _json_lines(data)
    return _text(data, wanted, separator, names)


def kind_of(path: Path) -> str:
    """The ending that says the format, in lower case.

    >>> kind_of(Path("a/b.CSV.gz"))
    '.csv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")


@dataclass(frozen=True)
class ArrowColumns:
    """A table with typed columns."""

    path: Path
    table: Any
    given_lines_E: Ints | None = None
    atomic: bool = False
    problems: list[FileProblem] = field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        return [str(name) for name in self.table.column_names]

    def read(self, names: Sequence[str]) -> list[Any]:
        return [self.table.column(list(self.names).index(name)).combine_chunks() for name in names]

    @property
    def lines_E(self) -> Ints:
        return np.arange(1, self.table.num_rows + 1) if self.given_lines_E is None else self.given_lines_E


@dataclass(frozen=True)
class TextColumns:
    """A text file: its rows as bytes, and how they are separated and quoted.

    Args:
        body: The rows, without the header line; line ends are `\\n`.
        first_line: Of the body, from 1.
    """

    path: Path
    names: Sequence[str]
    body: bytes
    separator: str
    first_line: int
    atomic: bool
    problems: list[FileProblem] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    """Rows of each reading."""

    def read(self, names: Sequence[str]) -> list[Any]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        ragged = False

        def skip(row: Any) -> str:
            nonlocal ragged
            ragged = True
            return "skip"

        places = [str(list(self.names).index(name)) for name in names]
        texts = pa.dictionary(pa.int32(), pa.string())
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(self.body or b"\n"),
                read_options=arrow_csv.ReadOptions(
                    column_names=[str(place) for place in range(len(self.names))], block_size=_BLOCK
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.separator,
                    quote_char='"' if self._quoted else False,
                    newlines_in_values=self._quoted,
                    invalid_row_handler=skip,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(dict.fromkeys(places)),
                    column_types=dict.fromkeys(places, texts),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            self._ragged()
            refuse(self.problems)
            raise DataError(f"{self.path} cannot be read as text separated by {self.separator!r}: {error}.") from error
        if ragged or (self._quoted and any(map(_endless, table.columns))):
            self._ragged()
        self.counted.append(table.num_rows)
        return [table.column(place).unify_dictionaries().combine_chunks() for place in places]

    @cached_property
    def _quoted(self) -> bool:
        return not self.atomic and b'"' in self.body

    @cached_property
    def _records(self) -> tuple[Ints, list[tuple[int, int]], int | None]:
        """The line of each whole row; line and width of those that are not; the line of a quote that never ends."""
        lines, ragged, width = [], [], len(self.names)
        text = io.StringIO(self.body.decode(), newline="")
        if self._quoted:
            reader = csv.reader(text, delimiter=self.separator)
        else:
            reader = csv.reader(text, delimiter=self.separator, quoting=csv.QUOTE_NONE)
        before = 0
        try:
            for record in reader:
                line, before = self.first_line + before, reader.line_num
                if len(record) == width:
                    lines.append(line)
                elif record:  # not an empty line
                    ragged.append((line, len(record)))
        except csv.Error:  # a field of more than 128 KiB
            return np.array(lines, dtype=np.int64), ragged, self.first_line + before
        return np.array(lines, dtype=np.int64), ragged, None

    @property
    def lines_E(self) -> Ints:
        plain = not self._quoted and b"\n\n" not in self.body and not self.body.startswith(b"\n")
        if plain and not self.problems:
            return np.arange(self.body.count(b"\n")) + self.first_line
        lines_E, _, endless = self._records
        if endless is None or not self.counted:
            return lines_E
        missing = self.counted[-1] - len(lines_E)  # within the endless field nobody can count
        return np.concatenate([lines_E, np.full(max(0, missing), endless, dtype=np.int64)])

    def _ragged(self) -> None:
        _, found, endless = self._records
        width = len(self.names)
        if found:
            rule = f"must have {width} fields separated by {self.separator!r}, got {found[0][1]}"
            remedy = "a field that holds the separator or a line end stands in double quotes, and each quote ends"
            lines = tuple(line for line, _ in found[:SHOWN])
            self.problems.append(FileProblem(str(self.path), lines, None, f"{rule}; {remedy}", len(found), True))
        if endless is not None:
            rule = "a field has more than 128 KiB; a quote that never ends makes one of all lines after it"
            self.problems.append(FileProblem(str(self.path), (endless,), None, rule, 1, True))


def _endless(column: Any) -> bool:
    """Whether a text is longer than the standard library's reader of csv takes."""
    return any(len(text) > csv.field_size_limit() for chunk in column.chunks for text in chunk.dictionary.to_pylist())


def refuse(problems: Sequence[FileProblem]) -> None:
    """Raise what makes a file unreadable, if there is anything.

    Raises:
        DataError: With all of it, a sentence each.
    """
    fatal = [problem.sentence() for problem in problems if problem.fatal]
    if fatal:
        raise DataError("\n".join(fatal))


def _table_of(frame: pd.DataFrame) -> Any:
    import pyarrow as pa

    frame = frame.rename(columns=str)
    if not frame.columns.is_unique:
        double = sorted(frame.columns[frame.columns.duplicated()])
        raise DataError(f"{FRAME}: every column must have a name of its own, got {', '.join(double)} twice.")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{FRAME}: a column must hold values of one kind: {error}.") from error


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}).") from error


def _json_lines(path: Path) -> ArrowColumns:
    import pyarrow as pa

    columns: dict[str, list[str]] = {}
    lines: list[int] = []
    for number, content in json_objects(path, "JSON lines"):
        for key, value in content.items():
            column = columns.setdefault(key, [])
            column.extend([""] * (len(lines) - len(column)))
            column.append(_as_text(path, number, key, value))
        lines.append(number)
    padded = {key: column + [""] * (len(lines) - len(column)) for key, column in columns.items()}
    table = pa.table({key: pa.array(column, pa.string()) for key, column in padded.items()})
    return ArrowColumns(path, table, np.array(lines, dtype=np.int64))


def _as_text(path: Path, number: int, key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_as_text(path, number, key, part) for part in value)
    if isinstance(value, (str, int, float)):
        return str(value).encode("utf-8", "replace").decode()  # JSON can spell half a surrogate pair
    raise DataError(f"{path}:{number} {key} must be text, a number or a list of these, got {shown(value)}.")


def _text(path: Path, wanted: Sequence[str], separator: str | None, names: Sequence[str] | None) -> TextColumns:
    data = _content(path)
    text_of(path, data)  # refuses what is no text, with its line
    if data and not data.endswith(b"\n"):
        data += b"\n"
    first, _, body = data.partition(b"\n")
    line = first.decode()
    if not line.strip() and names is None:
        raise DataError(f"{path}:1 must be a header line, got an empty one; say `columns` if there is none.")
    fields = line.split("\t")
    if names is None and all(_typed(each) for each in fields):
        bare = [each.partition(":")[0] for each in fields]
        _refuse_twice(path, bare)
        return TextColumns(path, bare, body, "\t", 2, atomic=True)
    if separator is None:
        separator = _separator(path, line, wanted)
    found = list(names) if names is not None else _split(line, separator)
    found = [name.strip() for name in found]
    _refuse_twice(path, found)
    if names is not None:
        return TextColumns(path, found, data, separator, 1, atomic=False)
    return TextColumns(path, found, body, separator, 2, atomic=False)


def _content(path: Path) -> bytes:
    """All bytes, unpacked."""
    if path.suffix.lower() != ".gz":
        return read_bytes(path, "a text file")
    try:
        largest = max(SMALL, LARGEST_RATIO * path.stat().st_size)
        with gzip.open(path) as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read as a gzip file ({error.strerror or error}).") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path} must be a whole gzip file, but is not ({error}); get it again.") from error
    if len(data) > largest:
        raise DataError(f"{path} may unpack to {largest:,} bytes at most, got more; unpack it and take the plain file.")
    return without_mark(path, data).replace(b"\r\n", b"\n")


def _typed(header: str) -> bool:
    name, _, kind = header.partition(":")
    return bool(name) and kind in TYPES


def _separator(path: Path, header: str, wanted: Sequence[str]) -> str:
    """The one by which most of the wanted columns are there; among equals the one that makes most fields."""
    if kind_of(path) == ".tsv":
        return "\t"

    def fits(separator: str) -> tuple[int, int]:
        names = [name.strip() for name in _split(header, separator)]
        return sum(name in names for name in wanted), len(names)

    best = max(SEPARATORS, key=fits)
    if fits(best)[1] < 2:
        known = ", ".join(repr(each) for each in SEPARATORS)
        raise DataError(
            f"{path}:1 header must have fields separated by one of {known}, got {shown(header)}; say `separator`."
        )
    return best


def _split(header: str, separator: str) -> list[str]:
    return next(csv.reader([header], delimiter=separator), [])


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    double = sorted({name for name in names if list(names).count(name) > 1})
    if double:
        raise DataError(f"{path}:1 every column must have a name of its own, got {', '.join(double)} twice.")
