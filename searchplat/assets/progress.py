"""Shows that something long is going on: a bar on a terminal, now and then a line otherwise; always on stderr.

The routes write their files in quite different ways (pip in a process of its own, the hub in threads), so
progress is read off the folder that they write into.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINE_SECONDS = 15.0
"""How often a line is written where there is no terminal."""


@contextmanager
def watching(label: str, folder: Path, total_bytes: int | None = None) -> Iterator[None]:
    """Show progress while the body writes into `folder`.

    Args:
        label: What is being done, e.g. `minilm-l6-v2 by hub`.
        folder: Its growth is shown.
        total_bytes: About how much will come; None if nobody knows.
    """
    show = _bar if sys.stderr.isatty() else _lines
    stop = threading.Event()
    thread = threading.Thread(target=show, args=(label, folder, total_bytes, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # gone between listing and looking
            continue
    return total


def _lines(label: str, folder: Path, total_bytes: int | None, stop: threading.Event) -> None:
    start = time.monotonic()
    say(f"{label} ...")
    while not stop.wait(LINE_SECONDS):
        of = "" if total_bytes is None else f" of about {total_bytes / 1e6:.0f}"
        seconds = time.monotonic() - start
        say(f"{label}: {_size(folder) / 1e6:.0f}{of} MB after {seconds:.0f} s")


def _bar(label: str, folder: Path, total_bytes: int | None, stop: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total_bytes)
        while not stop.wait(0.2):
            progress.update(task, completed=_size(folder))


def say(text: str) -> None:
    """One line on stderr."""
    print(f"searchplat: {text}", file=sys.stderr, flush=True)
