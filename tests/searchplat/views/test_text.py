"""Nothing is hidden, nothing is changed on the way to the shell and back."""

from __future__ import annotations

import doctest
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.spec.document.strict_yaml import read_value
from searchplat.views import text


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(text).failed == 0


@given(st.text())
def test_visible_text_is_one_printable_line(value: str) -> None:
    assert text.visible(value).isprintable()


@pytest.mark.parametrize("hidden", ["\x1b[2J", "\x9b31m", "\r", "\u202e", "\u200b", "\ud800", "\x07", "\u2028"])
def test_control_and_format_characters_are_spelled_out(hidden: str) -> None:
    shown = text.visible(f"a{hidden}b")
    assert hidden[0] not in shown
    assert "\\" in shown


def test_lines_stay_lines() -> None:
    assert text.visible_lines("a\n\tb\x1b[0m") == "a\n    b\\x1b[0m"


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    st.sampled_from(["010", "1e5", "no", "null", "true", "010-111", "~", "", "a b", "'", '"', "a: b", "#x", "0x1f"]),
)


@given(_SCALARS)
def test_a_setting_survives_the_shell_and_the_space_language(value: object) -> None:
    (word,) = shlex.split(text.shell_words([text.setting("key", value)]))
    key, _, written = word.partition("=")
    read = read_value(written, "--set").plain()
    assert key == "key"
    assert type(read) is type(value)
    assert read == value
