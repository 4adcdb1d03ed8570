"""`searchplat status`: all searches, or one."""

from __future__ import annotations

from typing import Annotated

import typer

from searchplat.cli import options


def status(
    search: Annotated[
        str | None, typer.Argument(metavar="[SEARCH]", help="The name of a search; all of them by default.")
    ] = None,
    runs: options.Runs = None,
    json_: options.Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow a running search until it ends; Ctrl-C ends the watching alone.")
    ] = False,
) -> None:
    """Show all searches, or how one stands. May be called while it runs.

    \b
    Examples:
      searchplat status
      searchplat status darec-quick --json
      searchplat status darec-quick --watch
    """
    from searchplat.errors import InputError
    from searchplat.ledger.folder import SearchFolder, list_searches, runs_root
    from searchplat.views.output import print_json, show
    from searchplat.views.standing import all_documents, all_screen, all_standing, one_screen, standing

    root = runs or runs_root()
    if watch and (search is None or json_):
        raise InputError("--watch: follows one search on the screen; name it, and leave out --json")
    if search is not None:
        if watch:
            from searchplat.views.watch import watch as follow

            follow(SearchFolder(root, search))
        one = standing(SearchFolder(root, search))
        if json_:
            print_json(one.document())
        else:
            show(one_screen(one))
        return
    found, unreadable = all_standing(SearchFolder(root, name) for name in list_searches(root))
    if json_:
        print_json(all_documents(found, unreadable))
    else:
        show(all_screen(root, found, unreadable))
