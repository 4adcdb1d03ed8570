"""A whole configuration of a method: what is searched or fixed, over its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from searchplat.contract import Values
from searchplat.errors import InputError
from searchplat.methods import load_method
from searchplat.spec.model import OWN_LOOP


def full_config(method: str, values: Mapping[str, Any]) -> Values:
    """All fields of a method's config as JSON values, defaults filled in and checked.

    Raises:
        InputError: If these values together are refused, as a rare point of a space that was checked by samples may be.
    """
    if method == OWN_LOOP:
        return dict(values)
    try:
        config: Values = load_method(method).Config(**values).model_dump(mode="json")
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, part['loc'])) or 'its values'}: {part['msg']}" for part in error.errors()
        )
        raise InputError(f"method {method!r} refuses the values {dict(values)}: {wrong}; narrow the space") from error
    return config
