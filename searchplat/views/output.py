"""Consoles, tables and JSON: the only place that knows rich's defaults, which would interpret what trials say."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from searchplat.views.text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.text import Text

_UNCUT = 1000
"""Width where the output is no terminal: a script gets whole lines."""

_GAP = 2
_CUT = 8
"""What must be left of a cell that may be cut."""
_WORD, _NAME = 14, 24
"""Lengths from which on a word may be broken, and a name, which stands first."""


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
    """A table without lines, so that it can be copied; see `Table`.

    Args:
        columns: Headings; a leading `>` sets a column right, a leading `!` lets it be cut at the terminal's edge
            (others are folded).
        rows: Cells.
        title: Stands above it, left.
    """
    return Table(columns, [[cell(item) for item in row] for row in rows], title)


class Table:
    """Cells side by side; where that would break figures or words, each row's cells one below the other, uncut."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[RenderableType]], title: str) -> None:
        self._columns, self._rows, self._title = columns, rows, title

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Of the cells side by side."""
        from rich.measure import Measurement

        return Measurement.get(console, options, self._beside())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the width that there is."""
        yield self._beside() if self._needed(console, options) <= options.max_width else self._below(options.max_width)

    def _needed(self, console: Console, options: ConsoleOptions) -> int:
        """Characters without which a figure or a word of usual length breaks, or next to nothing is left of a cell."""
        from rich.measure import Measurement
        from rich.text import Text

        free = options.update(max_width=_UNCUT)
        needed = 0
        for index, name in enumerate(self._columns):
            cells = [Text(visible(name.lstrip(">!"))), *(row[index] for row in self._rows)]
            sizes = [Measurement.get(console, free, one) for one in cells]
            match name[:1]:
                case ">":
                    needed += max(size.maximum for size in sizes)
                case "!":
                    needed += min(_CUT, max(size.maximum for size in sizes))
                case _:
                    needed += min(_WORD if index else _NAME, max(size.minimum for size in sizes))
        return needed + _GAP * (len(self._columns) - 1)

    def _beside(self) -> RenderableType:
        from rich.table import Table as Grid
        from rich.text import Text

        made = Grid(
            box=None,
            pad_edge=False,
            header_style="bold",
            title=Text(visible(self._title), "bold") if self._title else None,
            title_justify="left",
            show_header=any(self._columns),
        )
        for name in self._columns:
            right, cut = name.startswith(">"), name.startswith("!")
            made.add_column(
                Text(visible(name.lstrip(">!"))),
                justify="right" if right else "left",
                no_wrap=right or cut,
                overflow="ellipsis" if cut else "fold",
            )
        for row in self._rows:
            made.add_row(*row)
        return made

    def _below(self, width: int) -> RenderableType:
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        names = [Text(visible(name.lstrip(">!").strip()), "dim") for name in self._columns]
        headed = any(self._columns)
        made = Grid.grid(padding=(0, _GAP, 0, 0))
        if headed:
            made.add_column(max_width=width // 2, overflow="fold")
        made.add_column(overflow="fold")
        for index, row in enumerate(self._rows):
            if index:
                made.add_row("")
            for name, one in zip(names, row, strict=True):
                shown = one
                if isinstance(one, Text):
                    if not one.plain.strip():
                        continue
                    shown = Text.assemble(one, no_wrap=False, overflow="fold")
                    shown.rstrip()
                made.add_row(*((name, shown) if headed else (shown,)))
        return Group(Text(visible(self._title), "bold"), made) if self._title else made


class Fitted:
    """What is made for the width that there is.

    Args:
        make: Gets the width in characters.
    """

    def __init__(self, make: Callable[[int], RenderableType]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Make and render it."""
        yield self._make(options.max_width)


def print_json(content: Any) -> None:
    """Write one JSON document to stdout; see `plain`."""
    print(json.dumps(plain(content), indent=2, allow_nan=False, default=str))


def plain(item: Any) -> Any:
    """What JSON can hold of a document: numbers that it has not become null."""
    if isinstance(item, float) and not math.isfinite(item):
        return None
    if isinstance(item, Mapping):
        return {str(key): plain(inner) for key, inner in item.items()}
    if isinstance(item, (list, tuple)):
        return [plain(inner) for inner in item]
    return item
