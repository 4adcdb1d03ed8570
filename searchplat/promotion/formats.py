"""The table as Markdown, LaTeX and CSV, and as a document for scripts. Pure: a table in, text out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any, Literal

from searchplat.contract.measures import larger_is_better
from searchplat.export import FORMULA
from searchplat.ledger.rivals import not_beaten
from searchplat.promotion.breakdown import Block
from searchplat.promotion.statistics import TESTS, Spread
from searchplat.promotion.table import Cell, Row, Section, Table

Shown = Literal["sd", "interval"]
"""What stands beside a mean: the standard deviation over seeds, or the 95 % confidence interval."""

_LATEX = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|~"})


def figure(spread: Spread, shown: Shown = "sd") -> str:
    """A mean with what stands beside it, to 4 decimals.

    >>> figure(Spread(0.11622, 0.00104, 0.114, 0.119, 3)), figure(Spread(0.5, math.nan, math.nan, math.nan, 1))
    ('0.1162 ± 0.0010', '0.5000')
    """
    if math.isnan(spread.sd):
        return f"{spread.mean:.4f}"
    if shown == "interval":
        return f"{spread.mean:.4f} [{spread.low:.4f}, {spread.high:.4f}]"
    return f"{spread.mean:.4f} ± {spread.sd:.4f}"


def amount(number: float) -> str:
    """A whole number with separators.

    >>> amount(134217.0)
    '134,217'
    """
    return f"{number:,.0f}"


def costs(row: Row) -> tuple[str, str, str, str]:
    """Seeds, seconds a seed, peak memory in MiB, and trained parameters, `-` where unknown."""
    peak = "-" if row.peak_bytes is None else amount(row.peak_bytes / 2**20)
    parameters = "-" if row.parameters is None else amount(row.parameters)
    return str(len(row.seeds)), f"{row.seconds:,.1f}", peak, parameters


COST_HEADINGS = ("seeds", "s a seed", "peak MiB", "trained")


def legend(table: Table) -> list[str]:
    """What the marks mean, in whole sentences."""
    test = {"t": "paired t-test", "wilcoxon": "Wilcoxon's signed-rank test", "bootstrap": "paired bootstrap"}[
        table.test
    ]
    lines = ["Best in bold, second underlined, within each data set."]
    if table.comparisons:
        controls = any(row.role == "control" for section in table.sections for row in section.rows)
        reference = "the best control" if controls else "the first reference"
        lines.append(
            f"* better (- worse) than {reference} by Benjamini-Hochberg, ** (--) also by Holm: {test} per user, "
            f"{table.alpha:g} two-sided, {table.comparisons} comparisons corrected together."
        )
    return lines


def paper_lines(section: Section) -> list[str]:
    """A note for each table whose data only shares the name: its figures do not compare."""
    tables = {paper.source: paper for paper in section.other_data}
    return [
        f"{section.title}: {source} is on {_users(paper.users)} and {paper.items:,} items, ours has "
        f"{section.users:,} users; other data, so its figures are not shown beside ours."
        for source, paper in tables.items()
    ]


def _users(number: int | None) -> str:
    return "users whose number it does not give" if number is None else f"{number:,} users"


def ranked_lines(table: Table) -> list[str]:
    """Which items targets were ranked among, and that figures of other sections do not compare if these differ."""
    known = {section.ranked for section in table.sections}
    if len(known) == 1:
        ranked = next(iter(known))
        return [f"Targets are ranked among {ranked}."] if ranked else []
    lines = [
        f"{section.title}: targets are ranked among {section.ranked or 'items that the record does not tell'}."
        for section in table.sections
    ]
    return [*lines, "Figures of sections that rank other items do not compare."]


def control_lines(table: Table) -> list[str]:
    """Which winners are behind which controls, on which metrics."""
    lines = []
    for section in table.sections:
        for row in section.rows:
            for metric, cell in row.cells.items() if row.role == "winner" else ():
                rivals = [
                    (other.label, other.cells[metric].spread.mean)
                    for other in section.rows
                    if other.role == "control" and metric in other.cells
                ]
                if stands := not_beaten(cell.spread.mean, rivals, larger_is_better(metric)):
                    lines.append(f"{row.label}: on {metric} {stands}.")
    return lines


def fidelity_lines(table: Table) -> list[str]:
    """Kendall's tau of every search, and how often its test split was opened."""
    lines = []
    for search, found in table.fidelities.items():
        opened = f"its test split was opened {_times(table.openings[search])}"
        if math.isnan(found.tau):
            lines.append(f"{search}: too few scores for a rank correlation of search and final training; {opened}.")
        else:
            lines.append(
                f"{search}: Kendall's tau of search and final score {found.tau:+.2f} over {len(found.candidates)} "
                f"configurations (p = {found.p:.2g}); {opened}."
            )
    return lines


def notes(table: Table) -> list[str]:
    """All lines below the table."""
    papers = [line for section in table.sections for line in paper_lines(section)]
    return [*ranked_lines(table), *control_lines(table), *legend(table), *papers, *fidelity_lines(table)]


def markdown(table: Table, shown: Shown = "sd", blocks: Sequence[Block] = ()) -> str:
    """A Markdown table with notes below, then a table for each block; `<u>` underlines, which Markdown cannot."""

    def styled(cell: Cell | None) -> str:
        if cell is None:
            return "-"
        body = figure(cell.spread, shown)
        body = f"**{body}**" if cell.place == 1 else f"<u>{body}</u>" if cell.place == 2 else body
        return body + table.mark(cell).replace("*", "\\*")

    head = ("data", "method", *table.metrics, *COST_HEADINGS)
    lines = [_pipes(head), _pipes(("---", "---", *("---:" for _ in head[2:])))]
    for section in table.sections:
        data = section.title.translate(_MARKDOWN)
        for row in section.rows:
            cells = [styled(row.cells.get(metric)) for metric in table.metrics]
            lines.append(_pipes((data, row.label.translate(_MARKDOWN), *cells, *costs(row))))
        for paper in section.published:
            printed = [_printed(paper.metrics.get(metric)) for metric in table.metrics]
            label = f"{paper.method}, {paper.source}".translate(_MARKDOWN)
            lines.append(_pipes((data, label, *printed, "", "", "", "")))
    lines += ["", *(f"- {note.translate(_MARKDOWN)}" for note in notes(table))]
    for block in blocks:
        columns = ("method", *block.columns)
        lines += ["", block.heading.translate(_MARKDOWN), "", _pipes(columns)]
        lines.append(_pipes(("---", *("---:" for _ in block.columns))))
        lines += [_pipes((label.translate(_MARKDOWN), *_of_block(found, shown))) for label, found in block.rows]
    return "\n".join(lines)


def latex(table: Table, shown: Shown = "sd", blocks: Sequence[Block] = ()) -> str:
    """A `tabular` for the package booktabs, its notes as comments, then one for each block."""

    def styled(cell: Cell | None) -> str:
        if cell is None:
            return "--"
        body = figure(cell.spread, shown).replace("±", r"$\pm$")
        body = rf"\textbf{{{body}}}" if cell.place == 1 else rf"\underline{{{body}}}" if cell.place == 2 else body
        mark = table.mark(cell)
        return body + (f"$^{{{mark}}}$" if mark else "")

    head = ["data", "method", *table.metrics, *COST_HEADINGS]
    lines = [f"% {note}" for note in notes(table)]
    lines += [rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}", r"\toprule", _ampersands([_tex(h) for h in head])]
    for section in table.sections:
        lines.append(r"\midrule")
        for number, row in enumerate(section.rows):
            cells = [styled(row.cells.get(metric)) for metric in table.metrics]
            lines.append(_ampersands(["" if number else _tex(section.title), _tex(row.label), *cells, *costs(row)]))
        for paper in section.published:
            printed = [_printed(paper.metrics.get(metric)) for metric in table.metrics]
            lines.append(_ampersands(["", _tex(f"{paper.method}, {paper.source}"), *printed, "", "", "", ""]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    for block in blocks:
        lines += ["", f"% {block.heading}", rf"\begin{{tabular}}{{l{'r' * len(block.columns)}}}", r"\toprule"]
        lines += [_ampersands([_tex(name) for name in ("method", *block.columns)]), r"\midrule"]
        for label, found in block.rows:
            cells = [text.replace("±", r"$\pm$") for text in _of_block(found, shown)]
            lines.append(_ampersands([_tex(label), *cells]))
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


def csv_text(table: Table) -> str:
    """One line for each data set, row and metric, every figure to full precision; published figures likewise.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tests = [f"{kind}_{name}" for name in TESTS for kind in ("p", "bh", "holm")]
    writer.writerow(
        ["data", "users", "label", "role", "search", "promotion", "candidate", "method", "metric", "mean",
         "sd", "low", "high", "place", "seeds", "seconds", "peak_bytes", "parameters", "ranked", "reference",
         "difference", "difference_low", "difference_high", *tests]
    )  # fmt: skip
    for section in table.sections:
        for row in section.rows:
            for metric, cell in row.cells.items():
                s = cell.spread
                start = [section.title, section.users, row.label, row.role, row.search,
                         row.promotion, row.candidate, row.method, metric, s.mean, s.sd, s.low, s.high, cell.place,
                         s.count, row.seconds, row.peak_bytes, row.parameters, section.ranked]  # fmt: skip
                for one in cell.comparisons or (None,):
                    end: list[Any] = []
                    if one is not None:
                        end = [one.reference, one.difference, one.low, one.high]
                        end += [kind[name] for name in TESTS for kind in (one.p, one.bh, one.holm)]
                    writer.writerow(map(_csv, [*start, *end]))
            for metric, s in row.further.items():
                start = [section.title, section.users, row.label, row.role, row.search, row.promotion, row.candidate,
                         row.method, metric, s.mean, s.sd, s.low, s.high, "", s.count, row.seconds, row.peak_bytes,
                         row.parameters, section.ranked]  # fmt: skip
                writer.writerow(map(_csv, start))
        for paper in section.published:
            for metric, value in paper.metrics.items():
                label = f"{paper.method}, {paper.source}"
                writer.writerow(map(_csv, [section.title, paper.users, label, "published", *[""] * 4, metric, value]))
    return out.getvalue().rstrip("\n")


def document(table: Table) -> dict[str, Any]:
    """All of the table as JSON values."""
    return {
        "metrics": list(table.metrics),
        "test": table.test,
        "alpha": table.alpha,
        "comparisons": table.comparisons,
        "data": [
            {
                "name": section.data,
                "title": section.title,
                "ranked": section.ranked,
                "users": section.users,
                "rows": [_row_document(table, row) for row in section.rows],
                "published": [vars(paper) for paper in section.published],
                "published_on_other_data": [vars(paper) for paper in section.other_data],
            }
            for section in table.sections
        ],
        "searches": {
            name: {
                "test_openings": table.openings[name],
                "kendall_tau": found.tau,
                "kendall_p": found.p,
                "ranked": list(found.candidates),
            }
            for name, found in table.fidelities.items()
        },
    }


def _row_document(table: Table, row: Row) -> dict[str, Any]:
    metrics = {
        metric: {
            **vars(cell.spread),
            "values": list(cell.values),
            "place": cell.place,
            "mark": table.mark(cell),
            "comparisons": [vars(one) for one in cell.comparisons],
        }
        for metric, cell in row.cells.items()
    }
    plain = {name: value for name, value in vars(row).items() if name not in ("cells", "further")}
    return {**plain, "metrics": metrics, "further": {name: vars(found) for name, found in row.further.items()}}


def _of_block(found: Sequence[Spread | None], shown: Shown) -> list[str]:
    return ["-" if one is None else figure(one, shown) for one in found]


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _printed(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    return text.translate(_LATEX)


def _csv(value: Any) -> Any:
    if isinstance(value, str):
        value = value.replace("\r", "\\r")  # the writer would not quote it, and many readers begin a new row there
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value
