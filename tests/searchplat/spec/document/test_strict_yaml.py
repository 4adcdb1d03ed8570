from __future__ import annotations

from typing import Any

import pytest

from searchplat.spec import SpecError
from searchplat.spec.document.strict_yaml import MAX_BYTES, MAX_DEPTH, MAX_VALUES, decode, read_file, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5e+2", -150.0),
        ("12", 12),
        ("+7", 7),
        ("-0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("1_000", "1_000"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("010-000", "010-000"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("e5", "e5"),
        (".", "."),
        ("[1, [a, ~]]", [1, ["a", None]]),
        ("{a: 1, b: {c: 2}}", {"a": 1, "b": {"c": 2}}),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    read = read_file(f"key: {text}\n", "f.yaml").plain()["key"]
    assert read == value
    assert type(read) is type(value)
    assert read_value(text, "--set k=v").plain() == value


def test_places_are_lines_and_columns_from_one() -> None:
    root = read_file("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml")
    inner = root.at(["b", 1, "c"])
    assert (inner.place.line, inner.place.column) == (4, 9)
    assert (inner.key_place.line, inner.key_place.column) == (4, 6)
    assert inner.place.source == "f.yaml"
    assert read_value("{a: 1}", "--set k={a: 1}").at(["a"]).place.line is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1 a: a key may be given once (first in line 1)"),
        ("a: {b: 1, b: 1}", "f.yaml:1:11 a.b: a key may be given once"),
        ("a: &x 1", "anchors are not allowed, got &x"),
        ("a: *x", "aliases are not allowed, got *x"),
        ("a: {<<: {b: 1}}", "merge keys"),
        ("a: !!float 1", "tags are not allowed, got tag:yaml.org,2002:float"),
        ("a: ! 1", "tags are not allowed"),
        ("a: !mine [1]", "tags are not allowed, got !mine"),
        ("a: .inf", "numbers must be finite"),
        ("a: -.Inf", "numbers must be finite"),
        ("a: .nan", "numbers must be finite"),
        ("a: 1e999", "numbers must be finite"),
        ("a: 9223372036854775808", "whole numbers must fit 64 bits"),
        ("a: 0xffffffffffffffffff", "whole numbers must fit 64 bits"),
        (f"a: {'9' * 9000}", "whole numbers must fit 64 bits"),
        ("a: 1\n--- \nb: 2", "f.yaml:2:1: a space file is one document"),
        ("%YAML 1.1\n---\na: 1", "space files are YAML 1.2"),
        ("\ufeffa: 1", "f.yaml:1:1: may not start with a byte order mark"),
        ("a:\n\t- 1", "f.yaml:2:1: tabs may not indent"),
        ("a: \x07", "f.yaml:1:4: control characters are not allowed, got U+0007"),
        ("a: [1", "is not valid YAML"),
        ("a: b: c", "is not valid YAML"),
        ("a: '", "is not valid YAML"),
        ('a: "\\UFFFFFFFF"', "is not valid YAML"),
        ('a: "\\uD800"', "half a surrogate pair"),
        ("1: a", "keys must be text, got 1"),
        ("~: a", "keys must be text"),
        ("? [a]\n: b", "keys must be text"),
        ("true: a", "keys must be text, got true"),
        ("[" * (MAX_DEPTH + 2), f"nested at most {MAX_DEPTH} deep"),
        ("[" * 100_000, f"nested at most {MAX_DEPTH} deep"),
        ("- " * 100_000, f"nested at most {MAX_DEPTH} deep"),
        ("x" * (MAX_BYTES + 1), "at most 262144 bytes"),
        ("a: [" + "1," * MAX_VALUES + "]", f"at most {MAX_VALUES} values"),
        ("a: &x [1, 1]\nb: &y [*x, *x]\nc: [*y, *y]", "aliases are not allowed, got *x"),
        ("a: !!python/object/apply:os.system [touch ran]", "tags are not allowed, got tag:yaml.org,2002:python/object"),
        ("!!python/name:os.system ''", "tags are not allowed"),
    ],
)
def test_refuses_with_a_place_and_a_reason(text: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_file(text, "f.yaml")
    assert part in str(caught.value)
    assert str(caught.value).startswith("f.yaml:")


def test_several_problems_come_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        read_file("a: &x 1\na: .inf\nb: !t 2\n", "f.yaml")
    assert [(p.line, p.column) for p in caught.value.problems] == [(1, 4), (2, 1), (2, 4), (3, 4)]


def test_bytes_that_are_not_utf_8_are_placed() -> None:
    with pytest.raises(SpecError, match=r"^f.yaml:2:4: the text must be UTF-8, got the byte 0xe9; save it as UTF-8\.$"):
        decode(b"a: 1\nb: \xe9\n", "f.yaml")
    with pytest.raises(SpecError, match="at most 262144 bytes"):
        decode(b" " * (MAX_BYTES + 1), "f.yaml")
    with pytest.raises(SpecError, match="UTF-8"):
        decode("a: 1".encode("utf-16"), "f.yaml")
    assert decode("a: é".encode(), "f.yaml") == "a: é"


def test_windows_line_ends_are_fine() -> None:
    root = read_file("a: 1\r\nb: 2\r\n", "f.yaml")
    assert root.plain() == {"a": 1, "b": 2}
    assert root.at(["b"]).place.line == 2


def test_an_override_without_a_value_says_so() -> None:
    with pytest.raises(SpecError, match=r"--set seed=: has no value; write null"):
        read_value("", "--set seed=")
