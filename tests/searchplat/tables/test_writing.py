from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path

from searchplat.contract import Published
from searchplat.promotion.statistics import Spread
from searchplat.tables.plan import Plan, System, TablePlan, read_table
from searchplat.tables.rows import Figure, Filling, Row
from searchplat.tables.writing import grid, latex, markdown, page

NAUGHTY = "50% of <b>it</b> & a|b_c"


def row(name: str, mean: float, place: int, **more: object) -> Row:
    made = {
        "method": name, "figures": {"mrr": Figure(Spread(mean, 0.001, mean, mean, 3), place)}, "seeds": 3, "trials": 12,
        "search_seconds": 605.0, "final_seconds": 61.0, "parameters": 12_345, "p": 0.00042, "difference": -0.01,
        "paper": None,
    }  # fmt: skip
    return Row(name=name, **{**made, **more})  # type: ignore[arg-type]


def filling(tmp_path: Path) -> Filling:
    path = tmp_path / "t.yaml"
    path.write_text("scale: smoke\nminutes: 10\nmetrics: [mrr]\nsystems: [sasrec, gru4rec]\n")
    table = read_table(path)
    table = TablePlan("t", table.plan.model_copy(update={"title": NAUGHTY}), table.entries)
    paper = Published("SASRec", "toy", 10_973, 5_193, {"mrr": 0.0919}, "DARec, Table 2")
    rows = (row("sasrec", 0.0712, 1, p=None, paper=paper), row("popularity", 0.01, 2, trials=None, search_seconds=None))
    return Filling(table, rows, ("gru4rec",), "toy", 943, "all items")


def test_a_row_says_what_it_cost_and_what_its_paper_prints(tmp_path: Path) -> None:
    made = grid(filling(tmp_path))
    first, second = ([cell.text for cell in one] for one in made.rows)
    assert first == ["sasrec", "0.0712 ± 0.0010", "-", "10 min 05 s", "12", "1 min 01 s", "12,345", "3",
                     "0.0919 (DARec, Table 2; 10,973 users)"]  # fmt: skip
    assert second[2:5] == ["4e-04", "-", "-"]
    assert made.rows[0][1].best
    assert not made.rows[1][1].best
    assert made.notes[0] == "Not there yet: gru4rec."


def test_every_form_has_every_figure_and_nothing_that_it_would_read_as_its_own(tmp_path: Path) -> None:
    made = grid(filling(tmp_path))
    assert "**0.0712 ± 0.0010**" in markdown(made)
    assert r"50% of \<b\>it\</b\> & a\|b\_c" in markdown(made)
    assert r"\textbf{0.0712 $\pm$ 0.0010}" in latex(made)
    assert latex(made).count(r"\\") == 3

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.tags.append(tag)

    text = page(made)
    reader = Reader()
    reader.feed(text)
    assert reader.tags.count("tr") == 3
    assert reader.tags.count("b") == 1
    assert "<td><b>0.0712 ± 0.0010</b></td>" in text


def test_a_figure_that_is_none_is_a_dash(tmp_path: Path) -> None:
    found = filling(tmp_path)
    lacking = row("sasrec", 0.1, 1, figures={}, p=math.nan, parameters=None)
    (only,) = grid(Filling(found.plan, (lacking,), (), "toy", 943, "")).rows
    assert [cell.text for cell in only][1:3] == ["-", "-"]
    assert only[6].text == "-"


def test_a_system_may_be_a_name_alone() -> None:
    plan = Plan.model_validate({"minutes": 1, "systems": ["spaces/my.yaml"]})
    assert plan.systems == (System(space="spaces/my.yaml", name="my"),)
