"""Which bytes are text, and which are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.errors import DataError
from trials.data.reading.encoding import read_bytes, text_of, without_mark

PATH = Path("f")


def test_marks_and_line_ends_make_no_difference(tmp_path: Path) -> None:
    for number, content in enumerate((b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\r\n")):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert read_bytes(path, "a file") == b"a\nb\n"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-32-le"])
def test_other_encodings_are_named(codec: str) -> None:
    mark = {"utf-16-be": b"\xfe\xff", "utf-32-be": b"\0\0\xfe\xff"}.get(codec, b"")
    data = mark + "user,item\n".encode(codec)
    with pytest.raises(DataError, match=r"^f:1 .*UTF-16"):
        text_of(PATH, without_mark(PATH, data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\nb\0", "f:12 a NUL character may not occur"),
        (b"a\rb\n", "f:11 a carriage return within a line may not occur"),
        (b"a\n\xef\xbb\xbfb\n", "f:12 a byte order mark may stand at the beginning of a file only"),
        (b"\xef\xbb\xbfb\n", "f:11 a byte order mark"),
        (b"a\n\n\xe9t\xe9\n", "f:13 must be utf-8 text, got byte 0xe9; save it as UTF-8"),
        (b"\xc3", "f:11 must be utf-8 text, got byte 0xc3"),
    ],
)
def test_what_is_no_text_is_named_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        text_of(PATH, data, first_line=11)
    assert str(caught.value).startswith(message)
