"""Reads line by line what is too large to read at once: JSON lines and csv with quotes, plain or packed with gzip.

Memory stays bounded whatever a file holds: a line has a longest length, and a packed file may not unpack to much
more than data of its kind does.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from searchplat.errors import DataError
from trials.data.reading.encoding import text_of, without_mark

LONGEST_LINE = 16 << 20
"""Bytes. The longest line of Amazon's metadata (2023) that its publisher's viewer shows is under 1 MB."""

LARGEST_RATIO = 60
"""Unpacked over packed bytes. Reviews and metadata reach about 3 to 12, zeros about 1,000."""

SMALL = 64 << 20
"""Bytes that any packed file may unpack to: tiny files may well be repetitive."""

LARGEST_RATING = 1e6
LARGEST_TIME = 1e11
"""Bounds of what a damaged file may hold: 10^11 seconds are the year 5138, and milliseconds are beyond it."""

Parse = Callable[[str], Any]


def text_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 and lines, without their ends; packed if the name ends in `.gz`.

    Raises:
        DataError: If the file cannot be read or unpacked, a line is too long, or no UTF-8 text.
    """
    try:
        packed = path.suffix == ".gz"
        largest = max(SMALL, LARGEST_RATIO * path.stat().st_size) if packed else None
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            yield from _lines(path, file, largest)
    except EOFError as error:
        raise DataError(f"{path} must be a whole gzip file, but it ends early; get it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} must be a gzip file ({error}); get it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); it must be {what}.") from error


def _lines(path: Path, file: IO[bytes] | gzip.GzipFile, largest: int | None) -> Iterator[tuple[int, str]]:
    size = number = 0
    while data := file.readline(LONGEST_LINE + 1):
        number += 1
        size += len(data)
        if len(data) > LONGEST_LINE:
            raise DataError(f"{path}:{number} a line may have {LONGEST_LINE:,} bytes at most, got more.")
        if largest is not None and size > largest:
            raise DataError(
                f"{path}:{number} a packed file of this size may unpack to {largest:,} bytes at most, got more; "
                "if it is what it should be, unpack it and take the plain file."
            )
        if number == 1:
            data = without_mark(path, data)
        line = data.removesuffix(b"\n")
        if len(line) < len(data):
            line = line.removesuffix(b"\r")
        yield number, text_of(path, line, first_line=number)


def json_objects(
    path: Path, what: str, parse: Parse | None = None, expected: str = "a JSON object"
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a file that holds one a line; empty lines are passed over.

    Args:
        path: The file.
        what: What it should be, for messages.
        parse: Makes an object of a line, raising ValueError if it cannot; strict JSON by default.
        expected: What `parse` accepts, for messages.

    Raises:
        DataError: With the line at which a rule is broken.
    """
    parse = parse or strict_json
    for number, line in text_lines(path, what):
        if not line.strip():
            continue
        try:
            content = parse(line)
        except RecursionError as error:
            raise DataError(f"{path}:{number} must hold {expected}, got deeper nesting than anybody writes.") from error
        except ValueError as error:
            raise DataError(f"{path}:{number} must hold {expected}: {error}.") from error
        if not isinstance(content, dict):
            raise DataError(f"{path}:{number} must hold {expected}, got {type(content).__name__}.")
        yield number, content


def strict_json(line: str) -> Any:
    """JSON without NaN and infinities, and without a key that an object has twice.

    Raises:
        ValueError: If it is none.
    """
    return json.loads(line, parse_constant=_refuse, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {double!r} must occur once")
    return content


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def csv_columns(path: Path, what: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and the values of some columns, which stand in a csv file in any order.

    Raises:
        DataError: With the line at which a rule is broken.
    """
    number = 0

    def lines() -> Iterator[str]:
        nonlocal number
        for number, line in text_lines(path, what):  # noqa: B007  (the number of the line last given out)
            yield line + "\n"

    reader = csv.reader(lines(), strict=True)
    try:
        header = next(reader, [])
        missing = [name for name in columns if header.count(name) != 1]
        if missing:
            raise DataError(f"{path}:1 header must have {', '.join(missing)} once, got {','.join(header)!r}.")
        places = [header.index(name) for name in columns]
        for fields in reader:
            if len(fields) != len(header):
                raise DataError(f"{path}:{number} must have {len(header)} fields, got {len(fields)}.")
            yield number, [fields[place] for place in places]
    except csv.Error as error:
        raise DataError(f"{path}:{number} must be {what}: {error}.") from error


def a_text(path: Path, number: int, name: str, value: Any) -> str:
    """A non-empty text or a whole number, as text.

    Raises:
        DataError: If it is something else, or text that cannot be stored.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise DataError(f"{path}:{number} {name} must be a name, got {shown(value)}.")
    return storable(path, number, name, str(value))


def a_number(path: Path, number: int, name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in [low, high], also as text.

    Raises:
        DataError: If it is none.
    """
    try:
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        found = float(value) if plain or (isinstance(value, str) and "_" not in value) else None  # 1_0 is Python's 10
    except (ValueError, OverflowError):
        found = None
    if found is None or found != found or abs(found) == float("inf"):
        raise DataError(f"{path}:{number} {name} must be a finite number, got {shown(value)}.")
    if not low <= found <= high:
        raise DataError(
            f"{path}:{number} {name} must lie in [{low:g}, {high:g}], got {shown(value)}; mend the line or leave it "
            "out."
        )
    return found


def storable(path: Path, number: int, name: str, text: str) -> str:
    """`text` itself, if it can be written as UTF-8; JSON can spell half a surrogate pair.

    Raises:
        DataError: If it cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}:{number} {name} must be valid Unicode, got {shown(text)}.") from error
    return text


def shown(value: Any) -> str:
    """A value in a message: as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
