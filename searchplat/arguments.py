"""What somebody's Python gives as an argument, checked where it comes in: a sentence with the argument's name."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, TypeVar

from searchplat.errors import InputError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_OPTION = re.compile(r"`[^`]*`|(?<![\w/'\"=.-])--([a-z]+(?:-[a-z]+)*)(?![\w/-])")
"""An option of the command line, but not one within a command to copy, a path or a value."""
_PLURAL = {"trial": "trials"}


def named_as_arguments(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function whose errors name its arguments where they would name the options of the command line."""
    known = inspect.signature(function).parameters

    def argument(found: re.Match[str]) -> str:
        name = (found[1] or "").replace("-", "_")
        for one in (name, _PLURAL.get(name, "")):
            if one in known:
                return one
        return found[0]

    @functools.wraps(function)
    def named(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            error.args = (_OPTION.sub(argument, str(error)),)
            raise

    return named


def whole(name: str, value: Any, least: int) -> int:
    """A whole number, of NumPy too.

    Raises:
        InputError: If it is none, or below `least`.

    >>> whole("n", 3, 1)
    3
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"{name}: must be a whole number, got {value!r}")
    if number < least:
        raise InputError(f"{name}: must be {least} or more, got {number}")
    return number


def texts(**given: Any) -> None:
    """See that each is a text, or None.

    Raises:
        InputError: If one is not.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name}: must be a text, got {value!r}")


def several(name: str, value: Any, kind: type, example: str) -> None:
    """See that it is a list, an array or the like, of one kind of value; a text is none.

    Raises:
        InputError: If it is not.
    """
    if isinstance(value, str) or not isinstance(value, Collection) or not all(isinstance(one, kind) for one in value):
        raise InputError(f"{name}: must be a list such as {example}, got {value!r}")
