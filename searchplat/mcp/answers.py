"""What goes out to an agent: no secrets, no more than it can read, and errors with the sentence of the command line."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from searchplat.errors import InputError, SearchplatError, barred, disk_full
from searchplat.methods import ALLOW_IMPORT
from searchplat.redaction import redact
from searchplat.views.output import plain
from searchplat.views.text import visible_lines

MOST_TEXT = 4_000
"""Characters of one text: of a traceback, say, its beginning and its end."""
MOST_ANSWER = 60_000
"""Characters of an answer's JSON, some 20,000 of a language model's tokens."""
_MOST_ERROR = 8_000

Answer = dict[str, Any]
_P = ParamSpec("_P")
_T = TypeVar("_T")


def answered(tool: Callable[_P, Answer]) -> Callable[_P, Answer]:
    """A tool whose answer is fit to go out, and whose errors are errors of a tool, each a sentence for who reads it."""

    @functools.wraps(tool)
    def fit(*args: _P.args, **kwargs: _P.kwargs) -> Answer:
        try:
            answer = clean(tool(*args, **kwargs))
            if (length := size(answer)) > MOST_ANSWER:
                raise InputError(
                    f"the answer has {length} characters, and at most {MOST_ANSWER} are sent; ask for less"
                )
        except SearchplatError as error:
            raise ToolError(said(str(error))) from None
        except Exception as error:
            if disk_full(error):
                raise ToolError(said(f"{error}; free some space and try again")) from None
            if remedy := barred(error):
                raise ToolError(said(remedy)) from None
            raise ToolError(said(f"{type(error).__name__}: {error}. This is a bug of searchplat.")) from None
        return dict(answer)

    return fit


def said(sentence: str) -> str:
    """The text of an error."""
    if ALLOW_IMPORT in sentence:
        sentence += f" (here {ALLOW_IMPORT} is the user's to give: `--allow import` when this server starts)"
    return cut(visible_lines(redact(sentence)), _MOST_ERROR)


def clean(item: Any) -> Any:
    """A document without secrets, in values that JSON has, long texts cut."""
    return _clean(plain(item))


def size(document: Any) -> int:
    """Characters of a document's JSON."""
    return len(json.dumps(document))


def cut(text: str, most: int = MOST_TEXT) -> str:
    """A text of at most about `most` characters, its middle left out.

    >>> cut("abcdefgh", 4)
    'ab [... 4 characters left out ...] gh'
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters left out ...] {text[len(text) - half :]}"


def page(items: Sequence[_T], key: str, offset: int, limit: int, document: Callable[[_T], Any]) -> Answer:
    """A part of a list as an answer: as many items as go out at once, and where the next begins."""
    shown: list[Any] = []
    room = MOST_ANSWER - 200
    for item in items[offset : offset + limit]:
        one = clean(document(item))
        room -= size(one) + 2
        if room < 0:
            if not shown:
                raise InputError(
                    f"offset {offset}: what stands there has more than {MOST_ANSWER} characters; go on after it"
                )
            break
        shown.append(one)
    after = offset + len(shown)
    return {key: shown, "total": len(items), "offset": offset, "next_offset": after if after < len(items) else None}


def _clean(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {cut(redact(str(key))): _clean(inner) for key, inner in item.items()}
    if isinstance(item, list):
        return [_clean(inner) for inner in item]
    if item is None or isinstance(item, (bool, int, float)):
        return item
    return cut(redact(str(item)))
