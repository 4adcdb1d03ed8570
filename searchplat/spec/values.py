"""A space that is a dictionary of Python's: written as the text of a space file, and read by the same rules."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from searchplat.errors import InputError
from searchplat.spec.errors import SpecError
from searchplat.spec.load import load_text
from searchplat.spec.model import SearchSpec

SOURCE = "the space"
"""How errors name it: it has no lines."""


def load_values(
    space: Mapping[str, Any],
    *,
    name: str,
    source: Path,
    scale: str | None = None,
    overrides: Sequence[str] = (),
) -> SearchSpec:
    """Check a space given as a dictionary; like `spec.load`.

    Args:
        space: What a space file would say, `scales` too.
        name: The search's name.
        source: The file that it is going to be kept in.
        scale: See `load`.
        overrides: See `load`.

    Raises:
        SpecError: If something breaks a rule; all problems at once, named by their keys.
        InputError: If it holds what no file can.
    """
    text = text_of(space)
    with without_lines():
        spec = load_text(text, SOURCE, scale=scale, overrides=overrides, name=name)
    return dataclasses.replace(spec, source=source)


def text_of(space: Mapping[str, Any]) -> str:
    """A dictionary as JSON, which is a space file too; the file `space.yaml` of its search.

    Raises:
        InputError: If it holds what no file can, such as a function.

    >>> print(text_of({"trials": 3, "fixed": {"rate": 1e-5}}))
    {
      "trials": 3,
      "fixed": {
        "rate": 1e-05
      }
    }
    <BLANKLINE>
    """
    try:
        return json.dumps(space, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{SOURCE}: cannot be written as a space file ({error}); give plain values") from error


@contextmanager
def without_lines() -> Iterator[None]:
    """Within it, errors of a space name no lines of a text that nobody has seen."""
    try:
        yield
    except SpecError as error:
        raise SpecError(
            dataclasses.replace(one, line=None, column=None) if one.file == SOURCE else one for one in error.problems
        ) from None


def _plain(value: Any) -> Any:
    """Of what JSON does not know, what has an obvious form in it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r} is no text, number, list or mapping")
