"""Files read line by line: whatever they hold, they are read within bounds or refused with their line."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.errors import DataError
from trials.data.reading import lines
from trials.data.reading.lines import a_number, a_text, csv_columns, json_objects, text_lines


def _read(path: Path, content: bytes) -> list[tuple[int, str]]:
    path.write_bytes(content)
    return list(text_lines(path, "a test file"))


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_plain_and_packed_read_alike(tmp_path: Path, name: str) -> None:
    content = "één\r\ntwo\n\nfour".encode()
    packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    assert _read(tmp_path / name, packed) == [(1, "één"), (2, "two"), (3, ""), (4, "four")]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert _read(tmp_path / "plain", b"") == []
    assert _read(tmp_path / "packed.gz", gzip.compress(b"", mtime=0)) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("plain", b"a\n\xff\n", "plain:2 must be utf-8 text, got byte 0xff"),
        ("plain", b"a\nb\0\n", "plain:2 a NUL character may not occur"),
        ("packed.gz", b"no gzip", "must be a gzip file"),
        ("packed.gz", b"", None),
        ("packed.gz", gzip.compress(b"a\n" * 99, mtime=0)[:-4], "ends early; get it again"),
        ("packed.gz", gzip.compress(b"a\n" * 99, mtime=0)[:-8] + b"12345678", "must be a gzip file (CRC check failed"),
        (
            "packed.gz",
            gzip.compress(b"ab\n", mtime=0)[:10] + b"\xff\xff\xff" + gzip.compress(b"ab\n", mtime=0)[13:],
            "gzip file",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str | None) -> None:
    if message is None:
        assert _read(tmp_path / name, content) == []
        return
    with pytest.raises(DataError) as caught:
        _read(tmp_path / name, content)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere cannot be read \(No such file or directory\); it must be a test"):
        list(text_lines(tmp_path / "nowhere", "a test file"))


def test_a_huge_line_is_refused_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    assert len(_read(tmp_path / "plain", b"x" * 99 + b"\n")) == 1
    with pytest.raises(DataError, match=r"plain:2 a line may have 100 bytes at most"):
        _read(tmp_path / "plain", b"a\n" + b"x" * 5000)


def test_a_bomb_is_refused_before_it_has_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of empty objects packs to a few kilobytes; allowed are sixty times that."""
    monkeypatch.setattr(lines, "SMALL", 10_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 400_000, mtime=0))
    seen: list[tuple[int, str]] = []
    with pytest.raises(DataError, match=r"may unpack to [\d,]+ bytes at most, got more; if it is what it should be"):
        seen.extend(text_lines(path, "a test file"))
    assert 0 < len(seen) * 3 <= lines.LARGEST_RATIO * path.stat().st_size


def test_objects_come_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"a": 2}')
    assert list(json_objects(path, "a test file")) == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": ', "x.jsonl:2 must hold a JSON object: "),
        ("[1]", "x.jsonl:1 must hold a JSON object, got list"),
        ('{"a": NaN}', "x.jsonl:1 must hold a JSON object: NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": ' + "[" * 100_000, "x.jsonl:1 must hold a JSON object, got deeper nesting"),
        ('{"a": ' + "1" * 5000 + "}", "x.jsonl:1 must hold a JSON object: Exceeds the limit"),
    ],
)
def test_what_is_no_object_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        list(json_objects(path, "a test file"))
    assert message in str(caught.value)


def _columns(path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    path.write_bytes(content)
    return list(csv_columns(path, "a test file", ("b", "a")))


def test_columns_stand_in_any_order_and_among_others(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfa,more,b\r\n1,"[2, 3]",4\r\n"5",,"six, ""seven"""\r\n'
    assert _columns(tmp_path / "t", content) == [(2, ["4", "1"]), (3, ['six, "seven"', "5"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t:1 header must have b, a once, got ''"),
        (b"a,c\n", "t:1 header must have b once, got 'a,c'"),
        (b"a,b,a\n", "t:1 header must have a once"),
        (b"a,b\n1,2\n3\n", "t:3 must have 2 fields, got 1"),
        (b"a,b\n1,2\n\n", "t:3 must have 2 fields, got 0"),
        (b'a,b\n1,"2', "t:2 must be a test file: unexpected end of data"),
        (b'a,b\n1,"2"3\n', "t:2 must be a test file: "),
        (b"a,b\n1," + b"2" * 200_000 + b"\n", "t:2 must be a test file: field larger than field limit"),
    ],
)
def test_a_broken_table_names_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        _columns(tmp_path / "t", content)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [None, True, "", 1.5, [], {"a": "b" * 500}, "\ud800"])
def test_what_is_no_name(value: object) -> None:
    with pytest.raises(DataError, match=r"f:7 asin must be .{1,140}$"):
        a_text(Path("f"), 7, "asin", value)


@pytest.mark.parametrize("value", [None, True, "", "five", "nan", "1e999", 10**400, [5], float("inf")])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(DataError, match=r"f:7 rating must be a finite number, got .{1,140}$"):
        a_number(Path("f"), 7, "rating", value)


def test_names_and_numbers() -> None:
    assert [a_text(Path("f"), 1, "x", value) for value in ("B00", 12)] == ["B00", "12"]
    assert [a_number(Path("f"), 1, "x", value) for value in (5, "4.5", 1.684742e12)] == [5.0, 4.5, 1.684742e12]


def _damaged(data: st.DataObject, content: bytes) -> bytes:
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(len(content), start + 8)))
    return content[:start] + data.draw(st.binary(max_size=4)) + content[stop:]


@given(data=st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_damage_gives_data_errors_only(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    packed = gzip.compress(b'{"a": "b", "c": [1, 2.5]}\n{"a": null}\n' * 3, mtime=0)
    path = tmp_path_factory.mktemp("damage") / "x.gz"
    path.write_bytes(_damaged(data, packed))
    readers: tuple[Iterator[object], ...] = (json_objects(path, "x"), csv_columns(path, "x", ("a",)))
    for reader in readers:
        with contextlib.suppress(DataError):
            list(reader)
