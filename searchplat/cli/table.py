"""`searchplat table`: a table of systems as papers print it, each searched on the same budget."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from searchplat.cli import options, streams


def table(
    file: Annotated[
        Path,
        typer.Argument(metavar="TABLE", parser=options.path_of("TABLE"), help="A table's file; see spaces/tables."),
    ],
    show_only: Annotated[bool, typer.Option("--show", help="Run nothing: write down what there is.")] = False,
    within: Annotated[
        float | None,
        typer.Option(
            "--within", metavar="MINUTES", min=0.0, help="Begin nothing more after so many; the rest is for later."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            parser=options.path_of("--out"),
            help="Where TABLE.md, .tex and .html are written. [default: the folder of all searches]",
        ),
    ] = None,
    address: options.Address = None,
    tracking_uri: options.TrackingUri = None,
    storage: options.Storage = None,
    insecure_cluster: options.InsecureCluster = False,
    runs: options.Runs = None,
    allow_changed: Annotated[
        bool,
        typer.Option(
            "--allow-changed", help="Promote although data, code or packages are not those that a search ran under."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    json_: options.Json = False,
) -> None:
    """Search, promote and compare all systems of a table, each on the same budget; go on where it was.

    Each system's search is named TABLE-SYSTEM, and can be watched, steered and reported like any other. The table is
    written whenever a row has come, with what there is; a system that fails leaves the others their rows.

    \b
    Examples:
      searchplat table spaces/tables/scientific.yaml --within 90
      searchplat table spaces/tables/scientific.yaml --show
      searchplat table my_table.yaml --out paper/tables
    """
    from searchplat.engine.places import Places
    from searchplat.errors import InputError
    from searchplat.ledger.folder import runs_root
    from searchplat.report.file import write
    from searchplat.tables import writing
    from searchplat.tables.filling import Filled, fill
    from searchplat.tables.plan import read_table
    from searchplat.tables.rows import read_rows
    from searchplat.views import text
    from searchplat.views.output import print_json, show

    plan, root = read_table(file), runs or runs_root()
    folder = root if out is None else out
    if out is not None and not out.is_dir():
        raise InputError(f"--out: the folder {out} does not exist; make it, or choose another")

    def say(line: str) -> None:
        with suppress(OSError):  # a table outlives who reads of it
            if not quiet and not json_:
                print(time.strftime("%H:%M:%S"), text.visible_lines(line), flush=True)

    def write_down() -> tuple[Any, Any]:
        found = read_rows(plan, root)
        made = writing.grid(found)
        if found.rows:
            folder.mkdir(parents=True, exist_ok=True)
            for ending, form in writing.FORMATS.items():
                write(folder / f"{plan.name}.{ending}", form(made))
        return found, made

    def row_came() -> None:
        with suppress(InputError):  # what is wrong with the rows is said once all are there
            write_down()

    filled = Filled(False, 0)
    if not show_only:
        filled = fill(
            plan,
            Places(address, insecure_cluster, tracking_uri, storage, root),
            say,
            within_s=None if within is None else within * 60,
            quiet=quiet or json_,
            allow_changed=allow_changed,
            on_row=row_came,
        )
    found, made = write_down()
    with streams.outlived(filled.exit_code):
        if json_:
            print_json(document(made, found, filled))
        elif not quiet:
            show(*screen(made), *([f"written to {folder / plan.name}.md, .tex, .html"] if found.rows else []))
    raise typer.Exit(filled.exit_code)


def screen(grid: Any) -> list[Any]:
    """The table and its notes."""
    from rich.text import Text

    from searchplat.views import output

    columns = [grid.headings[0], *(f">{name}" for name in grid.headings[1:])]
    rows = [[Text(cell.text, "bold" if cell.best else "") for cell in row] for row in grid.rows]
    table_ = [output.table(columns, rows, grid.title), ""] if rows else []
    return [*table_, *(output.line((note, "dim")) for note in grid.notes)]


def document(grid: Any, found: Any, filled: Any) -> dict[str, Any]:
    """For scripts."""
    return {
        "table": found.plan.name,
        "metric": found.plan.metric,
        "data": found.data,
        "users": found.users,
        "rows": [
            {
                "system": row.name, "method": row.method, "seeds": row.seeds, "trials": row.trials,
                "search_seconds": row.search_seconds, "final_seconds": row.final_seconds, "parameters": row.parameters,
                "p": row.p, "difference": row.difference,
                "test": {
                    name: {"mean": one.spread.mean, "sd": one.spread.sd, "place": one.place}
                    for name, one in row.figures.items()
                },
            }
            for row in found.rows
        ],
        "missing": list(found.missing),
        "failed": list(filled.failed),
        "notes": list(grid.notes),
    }  # fmt: skip
