"""`searchplat compare`: one table over the promotions of several searches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.promotion.breakdown import Block
    from searchplat.promotion.table import Cell, Section, Table


class Format(StrEnum):
    """How the table is written."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"


class PairedTest(StrEnum):
    """Which test the marks follow."""

    T = "t"
    WILCOXON = "wilcoxon"
    BOOTSTRAP = "bootstrap"


def compare(
    searches: Annotated[list[str], typer.Argument(metavar="SEARCH...", help="Names of promoted searches.")],
    format_: Annotated[Format, typer.Option("--format", help="How to write the table.")] = Format.TERMINAL,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="NAME", help="A row to test against, beside the best control; repeatable."),
    ] = None,
    test: Annotated[PairedTest, typer.Option("--test", help="The paired test that marks follow.")] = PairedTest.T,
    alpha: Annotated[float, typer.Option("--alpha", metavar="P", help="Level of significance.")] = 0.05,
    all_: Annotated[bool, typer.Option("--all", help="Also candidates that did not win.")] = False,
    interval: Annotated[
        bool, typer.Option("--interval", help="95 % confidence intervals over seeds instead of standard deviations.")
    ] = False,
    breakdown: Annotated[
        bool,
        typer.Option("--breakdown", help="Also by cold items, popularity of the target, and length of the history."),
    ] = False,
    beyond: Annotated[
        bool, typer.Option("--beyond", help="Also what the lists are like: coverage, Gini, novelty, diversity, ...")
    ] = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """Compare promoted searches: quality over seeds, significance per user, and cost.

    A row is a search's winner or one of its controls, from the search's newest promotion. Rows stand in one table, and
    are tested against each other, only where they were tested on the same users and among the same items. CSV and
    JSON hold all three tests, plain and corrected, and all figures of --breakdown and --beyond.

    \b
    Examples:
      searchplat compare darec-quick sasrec-quick
      searchplat compare darec-quick --against popularity --test wilcoxon
      searchplat compare darec-quick sasrec-quick --breakdown --beyond
      searchplat compare darec-quick sasrec-quick --format latex > table.tex
    """
    from searchplat.errors import InputError
    from searchplat.ledger.folder import runs_root
    from searchplat.promotion import formats
    from searchplat.promotion.breakdown import blocks
    from searchplat.promotion.compared import compared
    from searchplat.views import text
    from searchplat.views.output import print_json, show

    if json_ and format_ is not Format.TERMINAL:
        raise InputError("--json: is a form of its own, and --format names another; give one of the two")
    table = compared(
        runs or runs_root(), searches, against=against or [], test=test.value, alpha=alpha, all_candidates=all_
    )
    beside: formats.Shown = "interval" if interval else "sd"
    further = blocks(table, groups=breakdown, lists=beyond)
    if json_:
        print_json(formats.document(table))
    elif format_ is Format.MARKDOWN:
        print(text.visible_lines(formats.markdown(table, beside, further)))
    elif format_ is Format.LATEX:
        print(text.visible_lines(formats.latex(table, beside, further)))
    elif format_ is Format.CSV:
        print(text.visible_lines(formats.csv_text(table)))
    else:
        show(screen(table, beside, further))
    if (breakdown or beyond) and not further:
        say = "nothing was measured of groups and lists when these searches were promoted; promote again with --again"
        print(say, file=sys.stderr)


def screen(table: Table, beside: Any, further: Sequence[Block] = ()) -> Any:
    """The table, blocks, what was tested, and notes; on a narrow terminal cost stands below quality."""
    from rich.console import Group

    from searchplat.promotion import formats
    from searchplat.views import output

    parts: list[Any] = []
    for section in table.sections:
        heading = f"{section.title}, {section.users:,} test users"
        columns, rows = _quality(table, section, beside)
        costs = [formats.costs(row) for row in section.rows] + [("", "", "", "")] * len(section.published)
        whole = [(*row, *cost) for row, cost in zip(rows, costs, strict=True)]
        one = output.table((*columns, *(f">{name}" for name in formats.COST_HEADINGS)), whole, heading)
        parts += [""] if parts else []
        if _fits(one):
            parts.append(one)
            continue
        cost_rows = [(row.label, *cost) for row, cost in zip(section.rows, costs, strict=False)]
        names = ("method", *(f">{name}" for name in formats.COST_HEADINGS))
        parts += [output.table(columns, rows, heading), "", output.table(names, cost_rows)]
    for block in further:
        rows = [
            (label, *("-" if one is None else formats.figure(one, beside) for one in found))
            for label, found in block.rows
        ]
        columns = ("method", *(f">{name}" for name in block.columns))
        parts += ["", output.table(columns, rows, block.heading)]
    parts += [*_tests(table), ""]
    parts += [output.line((note, "dim")) for note in formats.notes(table)]
    return Group(*parts)


def _quality(table: Table, section: Section, beside: Any) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Columns and rows of one section, without cost."""
    from rich.text import Text

    from searchplat.promotion import formats
    from searchplat.views import output

    def styled(cell: Cell | None) -> Any:
        if cell is None:
            return output.line("-  ")
        style = {1: "bold", 2: "underline"}.get(cell.place, "")
        return Text.assemble((formats.figure(cell.spread, beside), style), f"{table.mark(cell):<2}")

    rows: list[tuple[Any, ...]] = [
        (row.label, *(styled(row.cells.get(metric)) for metric in table.metrics)) for row in section.rows
    ]
    for paper in section.published:
        printed = [paper.metrics.get(metric) for metric in table.metrics]
        cells = ["-  " if value is None else f"{value:.4f}  " for value in printed]
        rows.append((output.described(paper.method, paper.source), *cells))
    return ("method", *(f">{metric}  " for metric in table.metrics)), rows


def _fits(made: Any) -> bool:
    """Whether a table is shown on this terminal without breaking its cells."""
    from rich.measure import Measurement

    from searchplat.views import output

    out = output.console()
    return Measurement.get(out, out.options.update(max_width=10_000), made).maximum <= out.width


def _tests(table: Table) -> list[Any]:
    """For each pair: the differences, the plain p-values of all tests, and the corrected ones of the chosen test."""
    from searchplat.promotion.statistics import TESTS
    from searchplat.views import output

    pairs: dict[str, list[tuple[str, ...]]] = {}
    for section in table.sections:
        for row in section.rows:
            for metric, cell in row.cells.items():
                for one in cell.comparisons:
                    difference = f"{one.difference:+.4f} [{one.low:.4f}, {one.high:.4f}]"
                    numbers = [*(one.p[name] for name in TESTS), one.bh[table.test], one.holm[table.test]]
                    heading = f"{row.label} less {one.reference}, {section.title}, mean over users"
                    line = (metric, difference, *map(_p, numbers))
                    pairs.setdefault(heading, []).append(line)
    columns = ("metric", ">difference [95 %]", *(f">{name}" for name in TESTS), ">BH", ">Holm")
    return [part for heading, rows in pairs.items() for part in ("", output.table(columns, rows, heading))]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
