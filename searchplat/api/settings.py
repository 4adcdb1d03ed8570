"""Overrides as Python has them, for the space language: what `--set` is on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.arguments import several
from searchplat.errors import InputError
from searchplat.views.text import setting


def set_items(overrides: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Texts `key=value`, in order.

    Args:
        overrides: By key, as `--set` names them: `{"epochs": 1, "search.rate.high": 0.1}`; or such texts.

    Raises:
        InputError: If it is neither, or a value is none that a space file can hold.

    >>> set_items({"epochs": 1, "layout": "000-111", "controls.random": None})
    ('epochs=1', 'layout=000-111', 'controls.random=null')
    """
    if isinstance(overrides, Mapping):
        try:
            return tuple(setting(str(key), value) for key, value in overrides.items())
        except (TypeError, ValueError) as error:
            raise InputError(f"overrides: must be plain values ({error})") from error
    several("overrides", overrides, str, "['epochs=1'], or a mapping")
    return tuple(overrides)
