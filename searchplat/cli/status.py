"""`searchplat status`: all searches, or one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.ledger.folder import SearchFolder


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
    from searchplat.views.standing import all_screen, one_screen, standing

    root = runs or runs_root()
    if watch and (search is None or json_):
        raise InputError("--watch: follows one search on the screen; name it, and leave out --json")
    if search is not None:
        if watch:
            from searchplat.cli.watch import watch as follow

            follow(SearchFolder(root, search))
        one = standing(SearchFolder(root, search))
        if json_:
            print_json(one.document())
        else:
            show(one_screen(one))
        return
    found: list[Any] = []
    unreadable: dict[str, str] = {}
    for name in list_searches(root):
        folder: SearchFolder = SearchFolder(root, name)
        try:
            found.append(standing(folder))
        except InputError as error:  # one broken search must not hide the others
            unreadable[name] = str(error)
    if json_:
        print_json([*(one.document() for one in found), *({"name": n, "error": e} for n, e in unreadable.items())])
    else:
        show(all_screen(root, found, unreadable))
