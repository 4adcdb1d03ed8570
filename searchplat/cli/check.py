"""`searchplat check`: what a space file says, how large the search is, what it will cost. Starts nothing."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from searchplat.cli import options


def check(
    space: Annotated[
        str | None, typer.Argument(metavar="SPACE", help="A space file, or the bare name of a shipped one: darec.")
    ] = None,
    scale: options.Scale = None,
    set_: options.Set = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="The search's name; if it ran before, the estimate uses its times."
        ),
    ] = None,
    runs: options.Runs = None,
    allow_import: options.AllowImport = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of space files instead, for editors.")
    ] = False,
    json_: options.Json = False,
) -> None:
    """Check a space file and show what it will cost.

    Prints the plan: parameters, stages, size of the space, estimated cost. Starts nothing.

    \b
    Examples:
      searchplat check darec --scale paper
      searchplat check --schema > space.schema.json
    """
    from searchplat.engine.prepare import check_there
    from searchplat.spec import json_schema, load
    from searchplat.views.output import print_json, show
    from searchplat.views.plan_picture import cost, document, folder_of, screen

    if schema:
        print_json(json_schema())
        return
    if space is None:
        raise typer.BadParameter("give a space file, or --schema", param_hint="SPACE")
    spec = load(space, scale=scale, overrides=tuple(set_ or ()), name=name)
    check_there(spec, folder_of(spec, name, runs))
    estimate = cost(spec, name, runs)
    if json_:
        content: dict[str, Any] = document(spec, estimate)
        print_json(content)
    else:
        show(screen(spec, estimate, runs))
