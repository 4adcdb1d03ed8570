"""`searchplat report`: a search as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchplat.cli import options


def report(
    search: options.Search,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            parser=options.path_of("--out"),
            help="Where to write it. [default: in the search's folder]",
        ),
    ] = None,
    attach: Annotated[
        bool, typer.Option("--attach", help="Keep it in MLflow too, with the search's parent run.")
    ] = False,
    tracking_uri: options.TrackingUri = None,
    runs: options.Runs = None,
) -> None:
    """Write one HTML file that shows a search: it needs no network, and can be mailed or printed.

    Also while the search runs: the file then shows the moment at which it was written.

    \b
    Examples:
      searchplat report darec-quick
      searchplat report darec-quick --out darec.html
      searchplat report darec-quick --attach
    """
    import sys

    from searchplat.errors import InputError
    from searchplat.ledger.folder import SearchFolder, runs_root
    from searchplat.report.file import NAME, page_of, write

    folder = SearchFolder(runs or runs_root(), search)
    path = folder.path / NAME if out is None else out
    folder.read().close()  # says which searches there are
    if path.is_dir():
        raise InputError(f"--out: must be a file, got the folder {path}; add a name such as {path / NAME}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--out: the folder {path.parent} does not exist; make it, or choose another file")
    write(path, page_of(folder))
    print(path)
    if attach:
        from searchplat.tracking.pages.attachments import attach as keep
        from searchplat.tracking.store.address import chosen_uri

        run = keep(chosen_uri(tracking_uri), search, path, folder.path.parent)
        print(f"attached to run {run}", file=sys.stderr)
