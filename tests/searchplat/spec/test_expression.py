from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchplat.spec.expression import MOST_CHARACTERS, ExpressionError, WrongKindError, parse


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("hidden % heads == 0", {"hidden": 12, "heads": 4}, True),
        ("hidden % heads == 0", {"hidden": 12, "heads": 5}, False),
        ("low < high", {"low": 0.1, "high": 0.1}, False),
        ("0 < low <= high", {"low": 0.1, "high": 0.1}, True),
        ("not (kind == 'a' and depth > 3)", {"kind": "a", "depth": 4}, False),
        ("not (kind == 'a' and depth > 3)", {"kind": "b", "depth": 4}, True),
        ("kind in ['a', 'b'] or depth not in (1, 2)", {"kind": "c", "depth": 1}, False),
        ("count(layout, '1') <= 2", {"layout": "010-011"}, False),
        ("count(layout, '1') <= 3", {"layout": "010-011"}, True),
        ("min(a, b, 3) + max(a, b) - abs(-a) == b // 1", {"a": 1, "b": 2}, True),
        ("a / 2 == 0.5", {"a": 1}, True),
        ("a // 2 == 0 and a * 3 == 3", {"a": 1}, True),
        ("flag", {"flag": True}, True),
        ("flag == true and other == null", {"flag": True, "other": None}, True),
        ("flag == 1", {"flag": True}, False),  # as space files tell them apart
        ("n == 1.0", {"n": 1}, True),
        ("one + two <= 1", {"one": True, "two": True}, False),  # of truth values at most one
        ("n > 0 and m / n < 2", {"n": 0, "m": 1}, False),
        ("n == 0 or m / n < 2", {"n": 0, "m": 1}, True),
        ("m / n < 2", {"n": 0, "m": 1}, False),  # cannot be worked out
        ("True", {}, True),
    ],
)
def test_what_holds(text: str, values: dict[str, Any], expected: bool) -> None:
    assert parse(text).holds(values) is expected


def test_names_and_where_they_stand() -> None:
    assert dict(parse("  é < b and min(b, c) > 1").names) == {"é": 2, "b": 6, "c": 19}


@pytest.mark.parametrize(
    ("text", "at", "rule"),
    [
        ("low <", None, "is not an expression"),
        ("low = high", 4, "is not an expression"),
        ("a && b", None, "is not an expression"),
        ("1 < a ** 2", 4, "powers are not allowed"),
        ("low < high.real", 6, "a name has no parts"),
        ("low < high[0]", 6, "a value has no parts"),
        ("1 < open('x')", 4, "there is no such function"),
        ("1 < min(a)", 4, "min takes at least 2 values"),
        ("1 < abs(a, b)", 4, "abs takes 1 value"),
        ("a is b", 5, "is compares no values"),
        ("kind in other", 8, "in takes a list"),
        ("low + high", 0, "must be true or false"),
        ("low if a else high", 0, "if is not allowed"),
        ("f'{a}' == 'b'", 0, "not allowed"),
        ("[a for a in b] == c", 0, "not allowed"),
        ("(a := 1) == 1", 1, "not allowed"),
        ("lambda: 1", 0, "not allowed"),
        ("a == b'x'", 5, "a value is a number"),
        ("a < 1e999", 4, "must be finite"),
        ("a < 2j", 4, "a value is a number"),
        ("a < " + "1" * MOST_CHARACTERS, None, "at most 500 characters"),
        ("not " * 120 + "a", None, "at most 200 parts"),
        ("not " * 60 + "a", None, "nested at most 40"),
        ("(" * 240 + "a", None, "is not an expression"),
        ("", None, "is not an expression"),
        ("\x00", None, "is not an expression"),
    ],
)
def test_what_is_refused_and_where(text: str, at: int | None, rule: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert rule in caught.value.rule
    assert at is None or caught.value.at == at


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a + 1 < 2", {"a": "x"}),
        ("a * 1000000000 == 'x'", {"a": "x"}),
        ("'%s' % a == 'x'", {"a": 1}),
        ("a < b", {"a": "x", "b": "y"}),
        ("a and b", {"a": True, "b": 3}),
        ("not a", {"a": 0}),
        ("a", {"a": 1}),
        ("a < 1", {"a": None}),
        ("a < 1", {"a": (1, 2)}),
        ("count(a, '1') < 2", {"a": 101}),
    ],
)
def test_values_of_the_wrong_kind_are_an_error(text: str, values: dict[str, Any]) -> None:
    with pytest.raises(WrongKindError):
        parse(text).holds(values)


VALUES = st.sampled_from([0, 1, 2, 3, 0.5, True, False])
TERMS = st.recursive(
    st.sampled_from(["a", "b", "1", "2", "0.5"]),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "//", "%", "/"]), inner)
        | st.builds("min({}, {})".format, inner, inner)
        | st.builds("-{}".format, inner)
    ),
    max_leaves=6,
)
TRUTHS = st.recursive(
    st.builds("{} {} {}".format, TERMS, st.sampled_from(["<", "<=", ">", ">="]), TERMS),
    lambda inner: (
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(TRUTHS, VALUES, VALUES)
def test_arithmetic_and_logic_are_pythons(text: str, a: Any, b: Any) -> None:
    assert parse(text).holds({"a": a, "b": b}) is _by_python(text, {"a": a, "b": b})


def _by_python(text: str, values: dict[str, Any]) -> bool:
    code = compile(ast.parse(text, mode="eval"), "test", "eval")
    try:
        return bool(eval(code, {"__builtins__": {}, "min": min}, values))
    except ZeroDivisionError:
        return False


PIECES = [*"ab()[],.+<:'", "**", "/", "%", "==", "not", "and", "in", "if", "lambda"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    try:
        parse(text)
        at = 0
    except ExpressionError as error:
        at = error.at
    assert 0 <= at <= len(text)
