"""A table as Markdown, LaTeX and HTML, with the notes that its figures need. Pure: rows in, text out."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from searchplat.promotion.formats import amount, figure
from searchplat.tables.rows import Filling, Row
from searchplat.views.text import duration

_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|~"})
_LATEX = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
)


@dataclass(frozen=True)
class Cell:
    """Text, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """Headings, rows of cells, and notes below; nothing is escaped."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


def grid(filling: Filling) -> Grid:
    """What is shown, whatever the form."""
    plan, metrics = filling.plan.plan, filling.plan.plan.metrics
    headings = (
        "system", *metrics, f"p, {filling.plan.metric}", "search", "trials", "a training", "trained parameters",
        "seeds", "its paper",
    )  # fmt: skip
    rows = tuple(_cells(row, metrics, filling.plan.metric, filling.users) for row in filling.rows)
    return Grid(plan.title or filling.plan.name, headings, rows, tuple(_notes(filling)))


def _cells(row: Row, metrics: Sequence[str], metric: str, users: int) -> tuple[Cell, ...]:
    figures = [
        Cell(figure(found.spread), found.place == 1) if (found := row.figures.get(name)) else Cell("-")
        for name in metrics
    ]
    printed = "-"
    if row.paper is not None and (value := row.paper.metrics.get(metric)) is not None:
        printed = f"{value:.4f} ({row.paper.source}; {_users(row.paper.users)})"
    return (
        Cell(row.name),
        *figures,
        Cell(_p(row)),
        Cell("-" if row.search_seconds is None else duration(row.search_seconds)),
        Cell("-" if row.trials is None else str(row.trials)),
        Cell(duration(row.final_seconds)),
        Cell("-" if row.parameters is None else amount(row.parameters)),
        Cell(str(row.seeds)),
        Cell(printed),
    )


def _p(row: Row) -> str:
    if row.p is None or math.isnan(row.p):
        return "-"
    return f"{row.p:.2g}" if row.p >= 0.001 else f"{row.p:.0e}"


def _users(number: int | None) -> str:
    return "users not told" if number is None else f"{number:,} users"


def _notes(filling: Filling) -> list[str]:
    plan = filling.plan.plan
    if not filling.rows:
        return [f"Not there yet: {', '.join(filling.missing)}."]
    found = [
        f"{filling.data}, {filling.users:,} test users"
        + (f", targets ranked among {filling.ranked}" if filling.ranked else "")
        + f"; mean ± standard deviation over {plan.seeds} fresh seeds, best in bold.",
        f"Every search had {duration(plan.minutes * 60)} of training and evaluation by its trials together, on "
        "validation; a trial that had begun went on to its end. Preparing, such as encoding texts, is not counted. The "
        "winner was trained again with each seed and tested once.",
        f"p: that the best row's {filling.plan.metric} is no other than this row's, by a paired t-test over users, "
        "corrected by Holm for all comparisons of the table. Rows without a search are not tested.",
        "A paper's figure is on its own preparation of the data, with as many users as it says.",
    ]
    if filling.missing:
        found.insert(0, f"Not there yet: {', '.join(filling.missing)}.")
    return found


def markdown(grid: Grid) -> str:
    """A Markdown table with notes below."""

    def cell(one: Cell) -> str:
        text = one.text.translate(_MARKDOWN)
        return f"**{text}**" if one.best else text

    lines = [f"## {grid.title.translate(_MARKDOWN)}", ""] if grid.title else []
    lines += [_pipes([name.translate(_MARKDOWN) for name in grid.headings]), _pipes(["---"] * len(grid.headings))]
    lines += [_pipes([cell(one) for one in row]) for row in grid.rows]
    return "\n".join([*lines, "", *(f"- {note.translate(_MARKDOWN)}" for note in grid.notes), ""])


def latex(grid: Grid) -> str:
    """A LaTeX table (booktabs)."""

    def cell(one: Cell) -> str:
        text = one.text.translate(_LATEX)
        return rf"\textbf{{{text}}}" if one.best else text

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    body = [line([cell(one) for one in row]) for row in grid.rows]
    notes = [f"% {note}" for note in grid.notes]
    return "\n".join(
        [
            *notes,
            rf"\begin{{tabular}}{{l{'r' * (len(grid.headings) - 2)}l}}",
            r"\toprule",
            line([name.translate(_LATEX) for name in grid.headings]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


_STYLE = """:root{color-scheme:light dark}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}
div{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #8884}th{border-bottom:2px solid #8888}
th:first-child,td:first-child,td:last-child,th:last-child{text-align:left}li{margin:.3rem 0}"""


def page(grid: Grid) -> str:
    """One HTML file that needs no network."""

    def cell(one: Cell) -> str:
        text = html.escape(one.text)
        return f"<td><b>{text}</b></td>" if one.best else f"<td>{text}</td>"

    title = html.escape(grid.title)
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in grid.headings)
    body = "\n".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in grid.rows)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in grid.notes)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style>\n<h1>{title}</h1>\n"
        f"<div><table><thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table></div>\n<ul>{notes}</ul></html>\n"
    )


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


FORMATS: dict[str, Callable[[Grid], str]] = {"md": markdown, "tex": latex, "html": page}
"""By the ending of a file's name."""
