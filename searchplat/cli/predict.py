"""`searchplat predict`: what a trained model recommends after a history, or to all users of its data."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.contract import Recommended
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
    repeats: Annotated[
        bool | None,
        typer.Option(
            "--repeats/--no-repeats",
            help="Also items of the history. [default: no; in lists as the data's rank_met says]",
        ),
    ] = None,
    request: Annotated[
        str | None, typer.Option("--request", metavar="TEXT", help="What the user asks for, for methods that read it.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Lists for all users of the model's data; needs --out.")] = False,
    users: Annotated[
        Path | None, typer.Option("--users", metavar="FILE", help="Lists for the users of a text file, an id a line.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where lists go: .parquet, .csv or .jsonl.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            help="Processes that make lists, by Ray. [default: 1; from 200,000 users on as many as cores]",
        ),
    ] = None,
    tracking_uri: options.TrackingUri = None,
    allow_import: options.AllowImport = False,
    json_: options.Json = False,
) -> None:
    """Recommend items after a history, or to all users, with a model from MLflow's registry or a folder.

    The history is all that is known of its user, also if it is that of a user of the training data.

    With --all (or --users) a file of lists is written for users of the data that the model was trained on, as the
    promotion's test asked about them: after their training and validation interactions, but not the test's, and
    without items met where the data's rank_met is false. Ids are those of the data's files. The file is there whole or
    not at all; the same lists come out of any number of workers.

    \b
    Examples:
      searchplat predict models:/darec-quick@champion --history "Toy Story" --history "Aladdin"
      searchplat predict darec-quick --history 50 --history 181 --top 5 --json
      searchplat predict darec-quick --all --out lists.parquet --top 20
    """
    from searchplat.assets import AssetStore
    from searchplat.tracking.registry.pack import load_package
    from searchplat.views.output import print_json, show

    if all_ or users is not None or out is not None or workers is not None:
        out = _refuse_mixed(all_, users, out, history, request)
        _lists(model, tracking_uri, out, users, top, repeats, workers, json_)
        return
    with tempfile.TemporaryDirectory(prefix="searchplat-") as temporary:
        served = load_package(_package(model, tracking_uri, Path(temporary)), AssetStore())
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


def _package(model: str, tracking_uri: str | None, temporary: Path) -> Path:
    from searchplat.paths import resolve
    from searchplat.tracking.registry.pack import ALIAS, fetch_package
    from searchplat.tracking.store.address import chosen_uri

    if not model.startswith("models:/") and (folder := resolve(model, "MODEL")).is_dir():
        return folder
    uri = model if model.startswith("models:/") else f"models:/{model}@{ALIAS}"
    return fetch_package(uri, chosen_uri(tracking_uri), temporary)


def _refuse_mixed(
    all_: bool, users: Path | None, out: Path | None, history: list[str] | None, request: str | None
) -> Path:
    """Options of lists and of a history do not go together, and lists need somebody and a place, which is returned."""
    from searchplat.errors import InputError

    if all_ and users is not None:
        raise InputError("--all and --users: say one of the two")
    if not all_ and users is None:
        raise InputError("--out and --workers: are for lists; say whose with --all or --users FILE")
    if out is None:
        raise InputError("--out: must say where the lists go, such as --out lists.parquet")
    if history or request is not None:
        raise InputError("--history and --request: are for one answer; leave them out with --all or --users")
    return out


def _lists(
    model: str, tracking_uri: str | None, out: Path, users: Path | None, top: int, repeats: bool | None,
    workers: int | None, json_: bool,
) -> None:  # fmt: skip
    from searchplat.assets import AssetStore
    from searchplat.lists.files import check_place
    from searchplat.lists.making import Wanted, make
    from searchplat.tracking.registry.pack import method_of
    from searchplat.views.output import print_json

    check_place(out)
    with tempfile.TemporaryDirectory(prefix="searchplat-") as temporary:
        folder = _package(model, tracking_uri, Path(temporary))
        wanted = Wanted(folder.resolve(), method_of(folder), top, repeats)
        began = time.monotonic()
        with _bar() as progress:
            made = make(wanted, out, users, workers, AssetStore(), progress)
    seconds = time.monotonic() - began
    if json_:
        print_json({"out": str(out), **vars(made), "top": top, "seconds": seconds})
    else:
        print(f"{out}: {made.rows:,} items for {made.users:,} users, in {seconds:,.1f} s")


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, on stderr; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("users"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("users", total=None)
        yield lambda done, of: shown.update(task, completed=done, total=of)
