"""What goes out to an agent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver.exceptions import ToolError

from searchplat.errors import InputError
from searchplat.mcp.answers import MOST_ANSWER, MOST_TEXT, Answer, answered, clean, page, size


def test_documents_become_what_json_has_without_secrets() -> None:
    token = "hf_" + "a" * 30
    document: dict[Any, Any] = {1: math.nan, token: [Path("/x"), (True, None)], "long": "x" * 9000}
    found = clean(document)
    assert found["1"] is None
    assert found["***"] == ["/x", [True, None]]
    assert len(found["long"]) < MOST_TEXT + 60


def test_a_page_ends_where_an_answer_would_be_too_long() -> None:
    items = ["x" * 3000] * 100
    first = page(items, "items", 0, 50, str)
    assert size(first) <= MOST_ANSWER
    assert first["next_offset"] == len(first["items"]) < 50
    assert first["total"] == 100
    last = page(items, "items", 95, 50, str)
    assert (len(last["items"]), last["next_offset"]) == (5, None)
    with pytest.raises(InputError, match="offset 0: what stands there has more than"):
        page([["x" * 3000] * 100], "items", 0, 1, list)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("space: give password=hunter2hunter2"), "space: give password=***"),
        (InputError("give --allow-import"), "`--allow import` when this server starts"),
        (KeyError("x"), "KeyError: 'x'. This is a bug of searchplat."),
        (OSError(28, "No space left on device"), "free some space and try again"),
        (InputError("a\x1b[31m"), "a\\x1b"),
    ],
)
def test_errors_are_sentences(error: Exception, said: str) -> None:
    @answered
    def tool() -> Answer:
        raise error

    with pytest.raises(ToolError) as raised:
        tool()
    assert said in str(raised.value)


def test_an_answer_that_is_too_long_is_an_error() -> None:
    @answered
    def tool() -> Answer:
        return {"items": ["x" * 3000] * 100}

    with pytest.raises(ToolError, match="at most 60000 are sent"):
        tool()
