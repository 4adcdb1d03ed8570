"""`searchplat methods`: what is installed, and the fields of a method's config."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from searchplat.cli import options


def methods(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A method, to see the fields it has.")] = None,
    json_: options.Json = False,
) -> None:
    """List the installed methods, or the config fields of one.

    \b
    Examples:
      searchplat methods
      searchplat methods darec
    """
    from searchplat.methods import load_method
    from searchplat.views.installed import described_method, installed_methods
    from searchplat.views.output import described, line, print_json, show, table

    if name is not None:
        method = load_method(name)
        if json_:
            print_json(described_method(name))
            return
        show(line((method.name, "bold"), f"  {method.summary}"))
        if method.paper:
            show(line((method.paper, "dim")))
        show("")
        show(table(("field", "type and default; what it is, unit, range"), _fields(method)))
        return
    found = installed_methods()
    if json_:
        print_json(found)
        return
    rows = [(one["name"], described(one["summary"], one["paper"])) for one in found]
    show(table(("method", "what it is, and its paper"), rows))
    print("\nThe fields of one: searchplat methods NAME")


def _fields(method: Any) -> list[tuple[str, Any]]:
    from searchplat.views.output import line

    schema = method.Config.model_json_schema()
    rows = []
    for name, field in method.Config.model_fields.items():
        described = schema["properties"].get(name, {})
        default = "required" if field.is_required() else f"default {_default(field)}"
        what = field.description or _bounds(described)
        first = line((_type(described, schema), "cyan"), f", {default}")
        rows.append((name, first.append("\n").append_text(line(what)) if what else first))
    return rows


def _default(field: Any) -> str:
    from searchplat.views.text import exact

    return exact(field.get_default(call_default_factory=True))


def _type(described: dict[str, Any], schema: dict[str, Any]) -> str:
    """A JSON Schema type in a few words."""
    if "$ref" in described:
        return _type(schema["$defs"][described["$ref"].rsplit("/", 1)[-1]], schema)
    if "anyOf" in described:
        return " or ".join(_type(part, schema) for part in described["anyOf"])
    if "const" in described:
        return str(described["const"])
    if "enum" in described:
        return " | ".join(map(str, described["enum"]))
    if described.get("type") == "array":
        return f"list of {_type(described.get('items', {}), schema)}"
    names = {"integer": "int", "number": "float", "string": "text", "boolean": "bool", "object": "mapping"}
    kind = described.get("type")
    return names.get(str(kind), str(kind)) if kind else "any"


def _bounds(described: dict[str, Any]) -> str:
    words = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return " and ".join(f"{sign} {described[key]}" for key, sign in words.items() if key in described)
