"""`searchplat predict`: what a trained model recommends after a history."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.contract import AssetSource, Recommended, Served
    from searchplat.views.output import Table


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="models:/NAME@ALIAS, models:/NAME/VERSION, a search's name (its champion), or a final run's folder.",
        ),
    ],
    history: Annotated[
        list[str] | None,
        typer.Option(
            "--history",
            metavar="ITEM",
            help="An id or title, oldest first; repeatable. id: or title: before it says which.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="K", min=1, help="How many items.")] = 10,
    repeats: Annotated[bool, typer.Option("--repeats", help="Also items of the history.")] = False,
    request: Annotated[
        str | None, typer.Option("--request", metavar="TEXT", help="What the user asks for, for methods that read it.")
    ] = None,
    tracking_uri: options.TrackingUri = None,
    allow_import: options.AllowImport = False,
    json_: options.Json = False,
) -> None:
    """Recommend items after a history, with a model from MLflow's registry or a folder.

    The history is all that is known of its user, also if it is that of a user of the training data.

    \b
    Examples:
      searchplat predict models:/darec-quick@champion --history "Toy Story" --history "Aladdin"
      searchplat predict darec-quick --history 50 --history 181 --top 5 --json
    """
    from searchplat.assets import AssetStore
    from searchplat.views.output import print_json, show

    with tempfile.TemporaryDirectory(prefix="searchplat-") as temporary:
        served = _load(model, tracking_uri, Path(temporary), AssetStore())
        found = served.top(
            [history or []], top, exclude_history=not repeats, requests=None if request is None else [request]
        )[0]
    if json_:
        print_json([vars(one) for one in found])
    else:
        show(screen(found))


def screen(found: list[Recommended]) -> Table:
    """The list, best first."""
    from searchplat.views.output import table

    rows = [(place, one.item, one.title, f"{one.score:.4g}") for place, one in enumerate(found, start=1)]
    return table((">", ">id", "title", ">score"), rows)


def _load(model: str, tracking_uri: str | None, temporary: Path, assets: AssetSource) -> Served:
    from searchplat.paths import resolve
    from searchplat.tracking.registry.pack import ALIAS, fetch_package, load_package
    from searchplat.tracking.store.address import chosen_uri

    if not model.startswith("models:/") and (folder := resolve(model, "MODEL")).is_dir():
        return load_package(folder, assets)
    uri = model if model.startswith("models:/") else f"models:/{model}@{ALIAS}"
    return load_package(fetch_package(uri, chosen_uri(tracking_uri), temporary), assets)
