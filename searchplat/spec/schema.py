"""The JSON Schema of a space file, for editors: completion, descriptions, and most errors while typing."""

from __future__ import annotations

from typing import Any

from searchplat.spec.building.stages import SHORTHAND
from searchplat.spec.grammar import BODY, FILE, SCALES


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a space file, made from the grammar.

    It knows shapes only: what `searchplat check` finds beyond them (low <= high, stages, the method's fields)
    it lets pass.
    """
    schema = FILE.schema()
    schema["properties"]["scales"] = {
        **SCALES.schema(),
        "additionalProperties": BODY.schema(partial=True),
        "description": FILE.fields["scales"].doc,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "searchplat space file",
        **schema,
        # Shorthand: without stages, one searcher and a number of trials.
        "not": {"required": ["stages"], "anyOf": [{"required": [k]} for k in SHORTHAND]},
    }
