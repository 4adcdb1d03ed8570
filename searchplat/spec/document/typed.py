"""Values against a pydantic model (a method's Config, a searcher's options): its errors become our problems."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from searchplat import protocol
from searchplat.errors import InputError
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.errors import UNSAID, Problems, suggest

_SAID = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
}


def errors_of(model: type[BaseModel], values: Mapping[str, Any]) -> list[ErrorDetails]:
    """What the model has against JSON values; empty if they make a valid instance.

    Checked strictly, as JSON: text is not a number, 1.0 is not a whole number, true is not 1; a list makes a tuple.
    """
    try:
        instantiate(model, values)
    except ValidationError as error:
        return error.errors(include_url=False)
    except InputError as error:  # a validator that says it in our own words
        return [{"type": "value_error", "loc": (), "msg": str(error), "input": dict(values)}]
    return []


def field_error(
    model: type[BaseModel], name: str, value: Any, others: Mapping[str, Any] | None = None
) -> ErrorDetails | None:
    """What the model has against this value of one field, whatever it has against `others`; None for nothing.

    The first of its complaints, as a union's branches repeat the same one.
    """
    complaints = errors_of(model, {**(others or {}), name: value})
    return next((error for error in complaints if error["loc"][:1] == (name,)), None)


def instantiate(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    """Make an instance of JSON values, strictly; raises as pydantic does."""
    return model.model_validate_json(json.dumps(values), strict=True)


def rule_of(error: ErrorDetails) -> str:
    """The broken rule in our words."""
    if error["type"] in _SAID:
        return _SAID[error["type"]]
    if error["type"] == "string_pattern_mismatch":
        return f"must match {error['ctx']['pattern']}"
    if error["type"] == "too_short" and error["ctx"]["min_length"] == 1:
        return "must not be empty"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").strip().rstrip(".;")
    text = re.sub(r"^Input should (be )?", lambda m: "must be " if m[1] else "must ", text)
    text = text.replace("greater than or equal to", ">=").replace("less than or equal to", "<=")
    text = text.replace("greater than", ">").replace("less than", "<")
    return " ".join(text.split()) or "is not allowed"


def add_error(
    problems: Problems, where: Node | Place, key: str, error: ErrorDetails, value: Any, remedy: str, prefix: str = ""
) -> None:
    """Note a pydantic error; a validator that says value or remedy itself is not repeated."""
    rule = rule_of(error)
    said = ", got " in rule
    remedy = "" if said and "; " in rule else remedy
    problems.add(where, key, f"{prefix}{rule}", value=UNSAID if said else value, remedy=remedy)


def about(model: type[BaseModel], name: str, value: Any = None) -> str:
    """The remedy for a wrong value: what the model says of the field."""
    if name not in model.model_fields:
        return "give a single value: text, a number, true or false"
    annotation = model.model_fields[name].annotation
    if isinstance(value, int) and not isinstance(value, bool) and annotation is str:
        return "put it in quotes"
    if isinstance(value, str) and annotation in (int, float) and re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", value):
        return "remove the quotes"
    described = model.model_fields[name].description
    return f"{name} is: {described.rstrip('.')}" if described else "give a value that it takes"


def check_names(
    model: type[BaseModel], entries: Mapping[str, Node], key: str, owner: str, problems: Problems
) -> dict[str, Node]:
    """Note every name that is not a field of the model; return the entries that are."""
    known = {}
    for name, node in entries.items():
        if name in model.model_fields:
            known[name] = node
        else:
            remedy = suggest(name, model.model_fields, "known are")
            if name == protocol.FORMER:
                remedy = f"what is ranked is said once for all methods, data: {{{protocol.OPTION}: false}}, or true"
            problems.add(node.key_place, f"{key}.{name}", f"is not {owner}", remedy=remedy)
    return known


def check_values(
    model: type[BaseModel],
    entries: Mapping[str, Node],
    base: Mapping[str, Any],
    where: Node | Place,
    key: str,
    problems: Problems,
) -> dict[str, Any]:
    """Note every wrong value among `entries`, which lie over `base`; return the right ones, as plain values.

    Args:
        model: The pydantic model.
        entries: Values with their places, all of them fields of the model.
        base: Further values, checked elsewhere.
        where: The place of rules that join several fields.
        key: Their dotted key; a field's is `key.field`.
        problems: Takes what is wrong.
    """
    values = {name: node.plain() for name, node in entries.items()}
    wrong: set[str] = set()
    for error in errors_of(model, {**base, **values}):
        name = str(error["loc"][0]) if error["loc"] else ""
        if name in entries:
            node = entries[name].at(error["loc"][1:])
            add_error(problems, node, f"{key}.{name}", error, node.plain(), about(model, name, values[name]))
            wrong.add(name)
        elif not name and entries:
            add_error(problems, where, key, error, UNSAID, "change one of these values")
    return {name: value for name, value in values.items() if name not in wrong}
