"""Arguments and options that several commands share, worded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from searchplat import paths


def path_of(option: str) -> Callable[[str], Path]:
    """Reads the path that an option is given."""
    return lambda text: paths.resolve(text, option)


def _allow_import(ctx: typer.Context, wanted: bool) -> bool:
    """Give the leave for as long as the command runs."""
    if wanted:
        from searchplat import methods

        ctx.with_resource(methods.imports())
    return wanted


Space = Annotated[str, typer.Argument(metavar="SPACE", help="A space file, or the bare name of a shipped one: darec.")]
Search = Annotated[str, typer.Argument(metavar="SEARCH", help="The name of a search; `searchplat status` lists them.")]
Scale = Annotated[
    str | None, typer.Option("--scale", metavar="NAME", help="A scale of the space file: smoke, quick, paper, ...")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Change a key of the space file, or fix a field of the method."),
]
Runs = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        metavar="DIR",
        parser=path_of("--runs"),
        help="The folder of all searches. [default: SEARCHPLAT_RUNS, else ./runs]",
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDRESS", help="A Ray cluster: auto, host:port. [default: this machine]"),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="Where MLflow keeps runs. [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URI",
        help="Where workers keep checkpoints: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, a path that all machines share. "
        "[default: SEARCHPLAT_STORAGE, else the search's folder]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
AllowImport = Annotated[
    bool,
    typer.Option(
        "--allow-import",
        callback=_allow_import,
        help="Let a method be named module:attribute, or be a command: what the space file or the model names is run.",
    ),
]
InsecureCluster = Annotated[
    bool,
    typer.Option(
        "--insecure-cluster",
        help="Connect also to a Ray cluster on other machines that lets anybody in.",
    ),
]
