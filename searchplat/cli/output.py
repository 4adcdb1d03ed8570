"""Consoles, tables and JSON: the only place that knows rich's defaults, which would interpret what trials say."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from searchplat.cli.text import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_UNCUT = 1000
"""Width where the output is no terminal: a script gets whole lines."""


def console(file: TextIO | None = None) -> Console:
    """A console that takes no text for markup, and cuts nothing when its output is piped."""
    from rich.console import Console

    out = file or sys.stdout
    width = None if out.isatty() else _UNCUT
    return Console(file=out, markup=False, emoji=False, highlight=False, width=width)


def show(*parts: RenderableType, file: TextIO | None = None) -> None:
    """Print, one below the other; what goes to a pipe has no spaces at the ends of its lines."""
    out = console(file)
    if out.is_terminal:
        for part in parts:
            out.print(part, crop=False)
        return
    with out.capture() as capture:
        for part in parts:
            out.print(part)
    stream = file or sys.stdout
    stream.write("\n".join(row.rstrip() for row in capture.get().split("\n")))
    stream.flush()


def cell(content: RenderableType | Any, style: str = "") -> RenderableType:
    """A table's cell: renderables as they are, all else as visible text."""
    from rich.text import Text

    if hasattr(content, "__rich_console__") or isinstance(content, Text):
        renderable: RenderableType = content
        return renderable
    return Text(visible(content), style=style)


def line(*parts: str | tuple[str, str]) -> Text:
    """One line of text from parts, each with or without a style."""
    from rich.text import Text

    return Text.assemble(*((visible(p), "") if isinstance(p, str) else (visible(p[0]), p[1]) for p in parts))


def command(words: str) -> Text:
    """A command line below a heading; never broken, so that it can be copied."""
    made = line(f"  {words}")
    made.no_wrap, made.overflow = True, "ignore"
    return made


def described(what: str, source: str) -> Text:
    """A cell of two lines: what something is, and below, dim, where it comes from."""
    made = line(what)
    if source:
        made.append("\n").append_text(line((source, "dim")))
    return made


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]] = (), title: str = "") -> Table:
    """A table without lines, so that it can be copied.

    Args:
        columns: Headings; a leading `>` sets a column right, a leading `!` lets it be cut at the terminal's edge
            (others are folded).
        rows: Cells.
        title: Stands above it, left.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=Text(visible(title), "bold") if title else None,
        title_justify="left",
        show_header=any(columns),
    )
    for name in columns:
        right, cut = name.startswith(">"), name.startswith("!")
        made.add_column(
            Text(visible(name.lstrip(">!"))),
            justify="right" if right else "left",
            no_wrap=right or cut,
            overflow="ellipsis" if cut else "fold",
        )
    for row in rows:
        made.add_row(*(cell(item) for item in row))
    return made


def print_json(content: Any) -> None:
    """Write one JSON document to stdout; numbers that JSON has not become null."""
    print(json.dumps(_plain(content), indent=2, allow_nan=False, default=str))


def _plain(item: Any) -> Any:
    if isinstance(item, float) and not math.isfinite(item):
        return None
    if isinstance(item, Mapping):
        return {str(key): _plain(inner) for key, inner in item.items()}
    if isinstance(item, (list, tuple)):
        return [_plain(inner) for inner in item]
    return item
