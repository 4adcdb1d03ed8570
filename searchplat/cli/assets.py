"""`searchplat assets`: the cache of data and weights."""

from __future__ import annotations

from typing import Annotated

import typer

from searchplat.cli import options

app = typer.Typer(
    help="List, fetch, verify and remove cached data and weights.\n\n\b\n"
    "Examples:\n  searchplat assets\n  searchplat assets fetch smollm2-135m",
    invoke_without_command=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="An asset; `searchplat assets` lists them.")]


@app.callback()
def assets(ctx: typer.Context, json_: options.Json = False) -> None:
    """List the assets and whether they are cached."""
    if ctx.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from searchplat.assets import AssetStore
    from searchplat.views.output import described, line, print_json, show, table
    from searchplat.views.text import size

    store = AssetStore()
    found = store.list()
    if json_:
        print_json({"cache": str(store.cache), "assets": [asdict(state) for state in found]})
        return
    rows = []
    for state in found:
        here = f"yes, by {state.route}" if state.cached else "no"
        rows.append((state.name, here, size(state.size_bytes), described(state.summary, state.licence)))
    show(table(("asset", "cached", ">size", "what it is, and its licence"), rows))
    show("", line(("cache  ", "dim"), str(store.cache)))


@app.command("fetch")
def fetch(name: Name) -> None:
    """Bring an asset into the cache, and print its folder.

    \b
    Example:
      searchplat assets fetch smollm2-135m
    """
    from searchplat.assets import AssetStore
    from searchplat.views.text import visible

    print(visible(str(AssetStore().fetch(name))))


@app.command("verify")
def verify(name: Name) -> None:
    """Read every file of a cached asset again and compare checksums.

    Exit code 1 if one differs.

    \b
    Example:
      searchplat assets verify ml-100k
    """
    from searchplat.assets import AssetStore
    from searchplat.errors import SearchplatError
    from searchplat.views.text import visible

    problems = AssetStore().verify(name)
    if problems:
        again = f"mend it with: searchplat assets remove {name} && searchplat assets fetch {name}"
        raise SearchplatError(f"asset {name!r} is damaged: {'; '.join(problems)}; {again}")
    print(visible(f"{name}: every file is as it was fetched"))


@app.command("remove")
def remove(name: Name) -> None:
    """Delete an asset from the cache.

    \b
    Example:
      searchplat assets remove smollm2-135m
    """
    from searchplat.assets import AssetStore
    from searchplat.views.text import visible

    gone = AssetStore().remove(name)
    print(visible(f"{name}: removed" if gone else f"{name}: was not cached"))
