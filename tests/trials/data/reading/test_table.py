"""Plain tables: the shape is checked, numbers and names too, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.errors import DataError
from trials.data.reading.table import read_table


def _table(path: Path, content: bytes, separator: str = ",", columns: tuple[str, ...] | int = ("id", "value")):
    path.write_bytes(content)
    return read_table(path, "a test file", separator, columns)


def test_names_and_numbers(tmp_path: Path) -> None:
    table = _table(tmp_path / "t", b"id,value\r\nb,1.5\r\na,2\r\nb,3\r\n")
    names = table.tokens(0)
    assert [names.keys[code] for code in names.codes] == ["b", "a", "b"]
    assert table.numbers(1).tolist() == [1.5, 2.0, 3.0]
    assert table.texts(1) == ["1.5", "2", "3"]


def test_names_stay_as_they_are_written(tmp_path: Path) -> None:
    keys = _table(tmp_path / "t", b'007\t"a\nNA\tb"\nNaN\t\n', "\t", 2).tokens(0).keys
    assert sorted(keys) == ["007", "NA", "NaN"]
    assert _table(tmp_path / "t", b'007\t"a\nNA\tb"\n', "\t", 2).texts(1) == ['"a', 'b"']


def test_a_file_without_rows_is_empty(tmp_path: Path) -> None:
    table = _table(tmp_path / "t", b"id,value\n")
    assert len(table.numbers(1)) == len(table.tokens(0).codes) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id;value\n1;2\n", "t:1 header must be 'id,value', got 'id;value'; it is a test file"),
        (b"", "t:1 header must be"),
        (b"id,value\na,1\nb\n", "t:3 must have 2 fields separated by ',', got 1"),
        (b"id,value\na,1\nb,2,3\n", "t:3 must have 2 fields separated by ',', got 3"),
        (b"id,value\na,1\n\nb,2\n", "t:3 must have 2 fields separated by ',', got 1"),
        (b"id,value\na,1\nb,2", None),
        (b"id,value\na,1\nb,two\n", "t:3 field 2 must be a finite number, got 'two'"),
        (b"id,value\na,1\nb,nan\n", "t:3 field 2 must be a finite number, got 'nan'"),
        (b"id,value\na,1\nb,-inf\n", "t:3 field 2 must be a finite number, got '-inf'"),
        (b"id,value\na,1\nb,\n", "t:3 field 2 must be a finite number, got ''"),
        (b"id,value\na,1\n,2\n", "t:3 item id must not be empty, got ''"),
        (b"id,value\na,1\n\xff,2\n", "t:3 must be utf-8 text, got byte 0xff"),
        (b"id,value\na\0,1\n", "t:2 a NUL character may not occur"),
        (b"id,value\na\rb,1\n", "t:2 a carriage return within a line"),
    ],
)
def test_each_broken_rule_names_its_line(tmp_path: Path, content: bytes, message: str | None) -> None:
    def read() -> None:
        table = _table(tmp_path / "t", content)
        table.tokens(0)
        table.numbers(1)

    if message is None:
        read()
        return
    with pytest.raises(DataError) as caught:
        read()
    assert message in str(caught.value)


def test_several_characters_separate(tmp_path: Path) -> None:
    table = _table(tmp_path / "t", b"1::10::3.5\n2::20::4\n", "::", 3)
    assert table.numbers(2).tolist() == [3.5, 4.0]
    with pytest.raises(DataError, match="t:2 a tab may not occur"):
        _table(tmp_path / "t", b"1::1\n2\t::2\n", "::", 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere cannot be read .*it must be a test file"):
        read_table(tmp_path / "nowhere", "a test file", ",", 2)


@given(rows=st.lists(st.tuples(st.integers(0, 9), st.floats(allow_nan=False, allow_infinity=False, width=32))))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float]]) -> None:
    text = "id,value\n" + "".join(f"{key},{value!r}\n" for key, value in rows)
    table = _table(tmp_path_factory.mktemp("t") / "t", text.encode())
    names = table.tokens(0)
    assert [names.keys[code] for code in names.codes] == [str(key) for key, _ in rows]
    assert table.numbers(1).tolist() == pytest.approx([value for _, value in rows])
