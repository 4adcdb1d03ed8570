"""Commands with names in braces."""

from __future__ import annotations

import doctest

import pytest

from searchplat.programs import template
from searchplat.programs.template import Template


def test_examples() -> None:
    assert doctest.testmod(template).failed == 0


def test_values_take_the_place_of_names_and_doubled_braces_stay() -> None:
    command = Template.of(["run", "--lr={lr}", "{a}-{b}", 4, "{{x}}"])
    assert command.names == command.required == {"lr", "a", "b"}
    assert command.render({"lr": 1e-05, "a": True, "b": "two words"}) == [
        "run", "--lr=1e-05", "true-two words", "4", "{x}",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", [{}, {"momentum": None}])
def test_a_group_is_left_out_where_a_name_of_it_has_no_value(missing: dict[str, None]) -> None:
    command = Template.of(["run", ["--momentum", "{momentum}", "--with={opt}"], "end"])
    assert command.required == set()
    assert command.render({"opt": "sgd", "momentum": 0.5}) == ["run", "--momentum", "0.5", "--with=sgd", "end"]
    assert command.render({"opt": "sgd", **missing}) == ["run", "end"]


def test_a_name_outside_of_groups_needs_a_value() -> None:
    with pytest.raises(KeyError, match="lr"):
        Template.of(["run", "{lr}"]).render({"lr": None})


@pytest.mark.parametrize("word", ["{", "a}", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:.3f}", "{a b}"])
def test_braces_hold_a_name_alone(word: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        Template.of(["run", word])
