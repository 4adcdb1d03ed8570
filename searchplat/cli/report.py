"""`searchplat report`: a search as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchplat.cli import options

NAME = "report.html"


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
    import time

    from searchplat.errors import InputError
    from searchplat.ledger.folder import SearchFolder, runs_root
    from searchplat.report.facts import gather
    from searchplat.report.page import render

    folder = SearchFolder(runs or runs_root(), search)
    path = folder.path / NAME if out is None else out
    with folder.read() as ledger:  # says which searches there are
        if path.is_dir():
            raise InputError(f"--out: must be a file, got the folder {path}; add a name such as {path / NAME}")
        if not path.absolute().parent.is_dir():
            raise InputError(f"--out: the folder {path.parent} does not exist; make it, or choose another file")
        facts = gather(search, folder.path, ledger, folder.running())
    write(path, render(facts, time.time()))
    print(path)
    if attach:
        from searchplat.tracking.pages.attachments import attach as keep
        from searchplat.tracking.store.address import chosen_uri

        run = keep(chosen_uri(tracking_uri), search, path)
        print(f"attached to run {run}", file=sys.stderr)


def write(path: Path, content: str) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: If the place may not be written.
        TryAgainError: If the disk is full.
    """
    import errno
    import os
    import tempfile

    from searchplat.errors import InputError, TryAgainError

    half = None
    try:
        descriptor, half = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)  # mkstemp makes files for one user alone
        os.umask(umask)
        os.chmod(half, 0o666 & ~umask)
        os.replace(half, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TryAgainError(f"{path}: the disk is full ({error.strerror}); free some space, then repeat") from error
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another file with --out") from error
    finally:
        if half is not None and os.path.exists(half):
            os.unlink(half)
