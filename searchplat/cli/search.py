"""`searchplat search`: start a search, or take it up where it was."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from searchplat.cli import options, streams


def search(
    space: options.Space,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The search's name. [default: SPACE-SCALE]")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            metavar="N",
            min=1,
            help="Trials of all stages together, in place of the file's; more than before extends a search.",
        ),
    ] = None,
    scale: options.Scale = None,
    set_: options.Set = None,
    address: options.Address = None,
    tracking_uri: options.TrackingUri = None,
    storage: options.Storage = None,
    fork: Annotated[
        str | None,
        typer.Option(
            "--fork",
            metavar="NEWNAME",
            help="Start a new search of this name from the trials of --name, under a changed space.",
        ),
    ] = None,
    widen: Annotated[
        bool,
        typer.Option(
            "--widen",
            help="Go on with a search in a changed space of which each of its trials is a point: wider ranges, more "
            "choices, a new parameter with a default, more trials.",
        ),
    ] = False,
    past: Annotated[
        list[str] | None,
        typer.Option(
            "--past",
            metavar="SEARCH",
            help="A search, SEARCH or SEARCH/STAGE, that stages searched by pr learn from; repeatable.",
        ),
    ] = None,
    insecure_cluster: options.InsecureCluster = False,
    allow_import: options.AllowImport = False,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            "--notify",
            metavar="WHO",
            help="Who is told of the end, a failure, a new best: a variable or a file with a webhook's URL, or a "
            "mapping {command: [...]}; repeatable.",
        ),
    ] = None,
    allow_command: Annotated[
        bool, typer.Option("--allow-command", help="Let a command that the space's notify names be run.")
    ] = False,
    runs: options.Runs = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Start a search, or go on with it where it was.

    The same command after a crash, Ctrl-C or a power cut loses no trial. A picture of the search is drawn on a
    terminal, lines are written anywhere else.

    \b
    Examples:
      searchplat search darec
      searchplat search darec --scale quick --name first --trials 40
      searchplat search my_space.yaml --set fixed.epochs=3 --set layout=000-000
      searchplat search my_space.yaml --name first --widen
      searchplat search my_space.yaml --name second --past first
    """
    from searchplat.api.running import last_screen, watched
    from searchplat.engine.places import Places
    from searchplat.engine.planning.past import with_past
    from searchplat.spec import load
    from searchplat.spec.building.notify import notify_option
    from searchplat.views.output import show
    from searchplat.views.text import visible_lines

    spec = with_past(load(space, scale=scale, overrides=tuple(set_ or ()), name=name), past or ())
    outcome = watched(
        spec,
        sys.stdout,
        quiet=quiet,
        name=name,
        trials=trials,
        fork=fork,
        widen_it=widen,
        places=Places(address, insecure_cluster, tracking_uri, storage, runs),
        notify=tuple(map(notify_option, notify or ())),
        allow_command=allow_command,
    )
    with streams.outlived(outcome.exit_code):
        if not quiet:
            show("", last_screen(outcome, spec, tracking_uri))
        if outcome.state != "done":
            print(visible_lines(("error: " if outcome.state == "failed" else "") + outcome.message), file=sys.stderr)
    raise typer.Exit(outcome.exit_code)
