"""`searchplat stop`, `pause`, `resume` and `set`: requests to a search that another process runs."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.engine.steering.requests import Action

NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Leave the request and return; `searchplat status` shows what became of it.")
]


def stop(
    search: options.Search,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="N", min=0, help="End this trial alone; the search goes on.")
    ] = None,
    no_wait: NoWait = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """End a running search, or one of its trials.

    The search ends as by its first Ctrl-C: epochs under way have 15 s to end and to be reported, and the command that
    started it goes on from there. This command returns once it has ended. A promotion is ended in the same way.

    A trial that is stopped counts as one that early stopping ended: with its best value so far, if it has one. Its
    epoch under way is given up.

    \b
    Examples:
      searchplat stop darec-quick
      searchplat stop darec-quick --trial 7
    """
    if trial is not None:
        _ask(search, runs, "stop-trial", json_=json_, wait=not no_wait, trial=trial)
    else:
        _ask(search, runs, "stop", json_=json_, wait=not no_wait)


def pause(
    search: options.Search,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Do not wait for running trials: each goes on, once resumed, after its present epoch."
        ),
    ] = False,
    no_wait: NoWait = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """Begin no more trials of a running search until it is resumed.

    Running trials go on to their ends. On a shared cluster other searches get what a paused one does not use.
    A paused search that is ended, or killed, is not paused when `searchplat search` goes on with it.

    \b
    Examples:
      searchplat pause darec-quick
      searchplat pause darec-quick --now
    """
    _ask(search, runs, "pause", json_=json_, wait=not no_wait, now=now)


def resume(
    search: options.Search, no_wait: NoWait = False, runs: options.Runs = None, json_: options.Json = False
) -> None:
    """Let a paused search go on.

    One that was stopped or has ended goes on by `searchplat search`.

    \b
    Example:
      searchplat resume darec-quick
    """
    _ask(search, runs, "resume", json_=json_, wait=not no_wait)


def set_(
    search: options.Search,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="K=N...", help="trials, stages.NAME.trials, concurrent: the key and its new number."),
    ],
    no_wait: NoWait = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """Change how many trials a running search gets, or how many run at once.

    trials is the number of all stages together, as `search --trials`; stages.NAME.trials that of one stage;
    concurrent=null is as many as fit. No trial is ended by it. Numbers of trials stay when the search is taken up
    again; concurrent does as long as the space says of it what it says now.

    \b
    Examples:
      searchplat set darec-quick trials=200 concurrent=8
      searchplat set darec-quick stages.layout.trials=40
    """
    from searchplat.engine.steering.changes import read

    _ask(search, runs, "set", json_=json_, wait=not no_wait, changes=read(changes))


def _ask(search: str, runs: Path | None, action: Action, *, json_: bool, wait: bool, **about: Any) -> None:
    from searchplat.api.steering import ask
    from searchplat.ledger.folder import SearchFolder, runs_root

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    _show(
        ask(SearchFolder(runs or runs_root(), search), action, tell, patience_s=math.inf if wait else 0, **about), json_
    )


def _show(document: dict[str, Any], json_: bool) -> None:
    from searchplat.views import text
    from searchplat.views.output import print_json

    if json_:
        print_json(document)
        return
    ended = document["ended"]
    state = f"has ended ({ended['state']}): " if ended else ""
    print(text.visible_lines(f"{document['search']}: {state}{document['said']}"))
