"""Arguments from Python that are not what they should be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from searchplat.arguments import several, texts, whole
from searchplat.errors import InputError


def test_what_is_allowed_is_returned_as_plain_numbers() -> None:
    assert whole("n", np.int64(3), 1) == 3
    assert type(whole("n", np.int64(3), 1)) is int
    texts(name=None, scale="quick")
    several("trials", np.array([1, 2]), np.integer, "[0, 3]")
    several("overrides", (), str, "['epochs=1']")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: whole("n", "3", 1), "n: must be a whole number, got '3'"),
        (lambda: whole("n", 1.5, 1), "n: must be a whole number, got 1.5"),
        (lambda: whole("n", True, 1), "n: must be a whole number, got True"),
        (lambda: whole("n", 0, 1), "n: must be 1 or more, got 0"),
        (lambda: texts(name="x", scale=3), "scale: must be a text, got 3"),
        (
            lambda: several("against", "abc", str, "['sasrec']"),
            r"against: must be a list such as \['sasrec'\], got 'abc'",
        ),
        (lambda: several("against", 3, str, "['sasrec']"), r"against: must be a list such as \['sasrec'\], got 3"),
        (lambda: several("against", [3], str, "['sasrec']"), r"against: must be .* got \[3\]"),
    ],
)
def test_what_is_not_is_named(check: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check()
