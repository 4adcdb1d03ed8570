"""Which bytes a text file of data may consist of: one rule for all readers.

UTF-8 with or without a byte order mark, line ends of Unix or of Windows, no NUL. The mark is taken off, and line ends
become `\\n`; anything else is refused with its line.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from searchplat.errors import DataError

_OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""That of UTF-32 with the low byte first begins as that of UTF-16."""


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a data file, with `\\n` line ends and without a byte order mark.

    Raises:
        DataError: If it is missing or cannot be read, or is UTF-16 or UTF-32.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); it must be {what}.") from error
    return without_mark(path, data).replace(b"\r\n", b"\n")


def without_mark(path: Path, start: bytes) -> bytes:
    """The beginning of a file without the byte order mark of UTF-8, which programs on Windows write.

    Raises:
        DataError: If it has one of UTF-16 or UTF-32.
    """
    if start.startswith(_OTHER_MARKS):
        raise DataError(f"{path}:1 must be utf-8 text, got the byte order mark of UTF-16 or UTF-32; save it as UTF-8.")
    return start.removeprefix(codecs.BOM_UTF8)


def text_of(path: Path, data: bytes, encoding: str = "utf-8", first_line: int = 1) -> str:
    """The text of one or more lines.

    Args:
        path: For messages.
        data: With `\\n` line ends.
        encoding: Of the text.
        first_line: The number of the line with which `data` begins, from 1.

    Raises:
        DataError: With the line, at NUL, a lone carriage return, a byte order mark where a line begins, or bytes that
            are not text in `encoding`.
    """

    def refuse(at: int, what: str) -> DataError:
        return DataError(f"{path}:{first_line + data.count(bytes([10]), 0, at)} {what}")

    if (at := data.find(b"\0")) >= 0:
        raise refuse(at, "a NUL character may not occur in a text file; if this is UTF-16, save it as UTF-8.")
    if (at := data.find(b"\r")) >= 0:
        raise refuse(
            at, "a carriage return within a line may not occur in a text file; end lines as Unix or Windows does."
        )
    if (at := (b"\n" + data).find(b"\n" + codecs.BOM_UTF8)) >= 0:
        raise refuse(at, "a byte order mark may stand at the beginning of a file only; take it out.")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        found = f"must be {encoding} text, got byte 0x{data[error.start]:02x}; save it as UTF-8."
        raise refuse(error.start, found) from error


def cut_off(path: Path) -> str | None:
    """What there is to say if a file of lines, which is not packed, ends in the middle of one."""
    if path.suffix in (".gz", ".json") or not path.stat().st_size:
        return None
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) in b"\n}":
            return None
    return f"{path.name}: its last line has no line end; if the file was cut off there, get it again"
