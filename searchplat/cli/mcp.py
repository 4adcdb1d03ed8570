"""`searchplat mcp`: a door for agents."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from searchplat.cli import options


class Allow(StrEnum):
    """What an agent may do beyond reading and checking; `searchplat.mcp.rules.Leave` says what each means."""

    search = "search"
    promote = "promote"
    import_ = "import"


def mcp(
    folder: Annotated[
        Path,
        typer.Option(
            "--folder",
            metavar="DIR",
            parser=options.path_of("--folder"),
            help="The project: spaces, and what they name, must be in it; runs and mlflow.db are made in it.",
        ),
    ] = Path("."),
    allow: Annotated[
        list[Allow] | None,
        typer.Option(
            "--allow",
            help="Beyond reading and checking; repeatable. search: start and steer searches. promote: open the test "
            "split. import: run code and commands that spaces name.",
        ),
    ] = None,
    most_trials: Annotated[
        int,
        typer.Option("--most-trials", metavar="N", min=1, help="Trials of a search that an agent starts or extends."),
    ] = 200,
    most_minutes: Annotated[
        float, typer.Option("--most-minutes", metavar="N", min=0.1, help="Of each start, after which it ends.")
    ] = 120,
    most_searches: Annotated[
        int, typer.Option("--most-searches", metavar="N", min=1, help="At work at once in the folder of runs.")
    ] = 1,
    notify: Annotated[
        list[str] | None,
        typer.Option("--notify", metavar="WHO", help="Of each search that is started; see `searchplat search`."),
    ] = None,
    address: options.Address = None,
    insecure_cluster: options.InsecureCluster = False,
    tracking_uri: options.TrackingUri = None,
    storage: options.Storage = None,
    runs: options.Runs = None,
) -> None:
    """Serve agents by the Model Context Protocol, on stdin and stdout; an agent's program starts it.

    An agent may read searches and check spaces; what else, --allow says, and nothing that an agent says changes it.
    Searches that it starts go on without it, at most for --most-minutes. Needs `pip install searchplat[mcp]`.

    \b
    Examples:
      searchplat mcp --folder ~/project
      searchplat mcp --folder ~/project --allow search --most-trials 40 --most-minutes 30
    """
    from searchplat import paths
    from searchplat.errors import InputError
    from searchplat.ledger.folder import runs_root
    from searchplat.spec.building.notify import notify_option

    folder = paths.resolve(folder, "--folder")
    if not folder.is_dir():
        raise InputError(f"--folder: must be a folder, and {folder} is none; make it, or name another")
    try:
        from searchplat.mcp.rules import Leave, Rules
        from searchplat.mcp.server import make
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise InputError("searchplat mcp needs the package mcp: pip install 'searchplat[mcp]'") from error
    for who in notify or ():
        notify_option(who)
    os.chdir(folder)
    words = [word for name, value in (("--address", address), ("--tracking-uri", tracking_uri), ("--storage", storage))
             if value is not None for word in (name, value)]  # fmt: skip
    words += ["--insecure-cluster"] if insecure_cluster else []
    rules = Rules(
        folder=folder,
        runs=runs or runs_root(),
        leaves=frozenset(Leave(one.value) for one in allow or ()),
        most_trials=most_trials,
        most_minutes=most_minutes,
        most_searches=most_searches,
        words=tuple(words),
        notify=tuple(notify or ()),
    )
    make(rules).run("stdio")
