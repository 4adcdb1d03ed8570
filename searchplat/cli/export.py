"""`searchplat export`: a search's trials for other tools."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from searchplat.cli import options


class Form(StrEnum):
    """What to write."""

    csv = "csv"
    parquet = "parquet"
    optuna = "optuna"


def export(
    search: options.Search,
    to: Annotated[Form, typer.Option("--to", metavar="csv|parquet|optuna", help="The form.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            parser=options.path_of("--out"),
            help="[default: trials.csv, trials.parquet or optuna.db]",
        ),
    ] = None,
    runs: options.Runs = None,
) -> None:
    """Write the trials of a search for other tools, also while it runs.

    csv and parquet have a row a trial. optuna is a SQLite file with a study a stage, for optuna-dashboard and for
    Optuna's own plots.

    \b
    Examples:
      searchplat export darec-quick --to csv --out darec.csv
      searchplat export darec-quick --to optuna --out darec.db
      optuna-dashboard sqlite:///darec.db
    """
    from searchplat.errors import InputError
    from searchplat.export import frame, write_table
    from searchplat.ledger.folder import SearchFolder, runs_root
    from searchplat.paths import resolve, sqlite_uri
    from searchplat.spec import from_document
    from searchplat.views import text

    suffix = {Form.csv: ".csv", Form.parquet: ".parquet", Form.optuna: ".db"}[to]
    path = out or resolve("optuna.db" if to is Form.optuna else f"trials{suffix}", "--out")
    if path.suffix != suffix and to is not Form.optuna:
        raise InputError(f"--out: must end in {suffix} for --to {to}, got {str(path)!r}; rename it")
    if not path.parent.is_dir():
        raise InputError(f"--out: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--out: the folder {path.parent} must be one that can be written; choose another")
    with SearchFolder(runs or runs_root(), search).read() as ledger:
        spec = from_document(ledger.document())
        if to is Form.optuna:
            from searchplat.searchers.studies import write_studies

            studies = write_studies(ledger, spec, search, path)
            print(f"{path}: a study for each of {', '.join(studies)}")
            print(f"optuna-dashboard {text.shell_words([sqlite_uri(path)])}")
        else:
            table = frame(ledger, spec)
            write_table(table, path)
            print(f"{path}: {text.plural(len(table), 'trial')}, {len(table.columns)} columns")
