from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from searchplat.contract import Published
from searchplat.promotion import formats
from searchplat.promotion.record import Promotion
from searchplat.promotion.table import Table, make_table

Make = Callable[..., Promotion]

PAPER = Published("DARec", "toy", 300, 40, {"mrr": 0.1105}, "Table_2")


@pytest.fixture
def table(promoted: Make) -> Table:
    return make_table([promoted("a_b")], published=[PAPER], resamples=500)


def test_markdown_has_best_second_marks_paper_and_cost(table: Table) -> None:
    lines = formats.markdown(table).split("\n")
    assert lines[0] == "| data | method | mrr | ndcg@10 | seeds | s a seed | peak MiB | trained |"
    assert lines[2].startswith("| toy | darec trial-3 | **0.")
    assert r"**\*\* |" in lines[2]
    assert lines[2].endswith("| 3 | 12.0 | 1,024 | 1,234 |")
    assert "| <u>0." in lines[3]
    assert lines[5] == r"| toy | DARec, Table\_2 | 0.1105 | - |  |  |  |  |"
    assert {line.count("|") for line in lines[:6]} == {9}


def test_latex_is_a_tabular_with_everything_escaped(table: Table) -> None:
    lines = formats.latex(table).split("\n")
    start = lines.index(r"\toprule")
    assert all(line.startswith("%") for line in lines[: start - 1])
    assert lines[start - 1] == r"\begin{tabular}{llrrrrrr}"
    assert lines[start + 3].startswith(r"toy & darec trial-3 & \textbf{0.")
    assert r"$\pm$" in lines[start + 3]
    assert "$^{**}$" in lines[start + 3]
    assert r"\underline{0." in lines[start + 4]
    assert r"DARec, Table\_2 & 0.1105 & -" in lines[start + 6]
    assert lines[-1] == r"\end{tabular}"


def test_csv_has_every_figure_and_no_formula(table: Table) -> None:
    rows = list(csv.DictReader(io.StringIO(formats.csv_text(table))))
    assert len(rows) == 3 * 2 + 1
    first = rows[0]
    assert (first["label"], first["metric"], first["reference"]) == ("darec trial-3", "mrr", "darec default")
    cell = table.sections[0].rows[0].cells["mrr"]
    assert float(first["mean"]) == cell.spread.mean
    assert float(first["holm_wilcoxon"]) == cell.comparisons[0].holm["wilcoxon"]
    assert rows[-1]["role"] == "published"
    hostile = replace(table.sections[0].rows[0], label="=cmd|x")
    changed = replace(table, sections=(replace(table.sections[0], rows=(hostile,)),))
    assert ",'=cmd|x," in formats.csv_text(changed)
    for start in ("+", "-", "@", "\t", "\r", "\n"):
        again = replace(table, sections=(replace(table.sections[0], title=f"{start}1", rows=(hostile,)),))
        for row in csv.reader(io.StringIO(formats.csv_text(again), newline=None)):
            assert not row[0].startswith(start)


def test_the_document_is_json(table: Table) -> None:
    found = json.loads(json.dumps(formats.document(table)))
    row = found["data"][0]["rows"][0]
    assert row["metrics"]["mrr"]["mark"] == "**"
    assert len(row["metrics"]["mrr"]["values"]) == 3
    assert set(row["metrics"]["mrr"]["comparisons"][0]["holm"]) == {"t", "wilcoxon", "bootstrap"}
    assert found["searches"]["a_b"]["kendall_tau"] == pytest.approx(1)
    assert found["data"][0]["published"][0]["metrics"] == {"mrr": 0.1105}


def test_notes_say_what_marks_mean_how_often_test_was_opened_and_which_data_differ(promoted: Make) -> None:
    others = [replace(PAPER, users=999), replace(PAPER, users=None, source="Table 1")]
    table = make_table([promoted()], published=others, resamples=500)
    text = "\n".join(formats.notes(table))
    assert "paired t-test per user, 0.05 two-sided, 2 comparisons corrected together" in text
    assert "toy: Table_2 is on 999 users and 40 items, ours has 300 users; other data" in text
    assert "toy: Table 1 is on users whose number it does not give and 40 items, ours has 300 users" in text
    assert "Kendall's tau of search and final score +1.00 over 4 configurations" in text
    assert "its test split was opened 12 times" in text


def test_intervals_in_place_of_deviations(table: Table) -> None:
    assert " [0." in formats.markdown(table, "interval")
