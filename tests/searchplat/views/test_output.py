"""Tables on terminals of every width: nothing is lost, and no word or figure is broken while there is another way."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from searchplat.cli import best, trials
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.views import standing
from searchplat.views.output import Fitted, table
from searchplat.views.snapshot import take
from searchplat.views.text import visible

WIDTHS = (20, 31, 40, 60, 80, 120, 200)
COLUMNS = (">trial", "!stage", "state", ">mrr", "values")
ROWS = [(7, "layout", "finished", "0.4312", "x=0.25 kind=a"), (8, "weights-and-more", "stopped", "0.0711", "")]


def draw(made: object, width: int) -> str:
    out = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    out.print(made, crop=False)
    return "\n".join(line.rstrip() for line in out.file.getvalue().splitlines())  # type: ignore[attr-defined]


def test_where_it_fits_a_table_is_one() -> None:
    assert draw(table(COLUMNS, ROWS), 60).splitlines() == [
        "trial  stage             state        mrr  values",
        "    7  layout            finished  0.4312  x=0.25 kind=a",
        "    8  weights-and-more  stopped   0.0711",
    ]


def test_where_it_does_not_each_row_is_a_block_and_empty_cells_are_left_out() -> None:
    assert draw(table(COLUMNS, ROWS, "a title"), 30).splitlines() == [
        "a title",
        "trial   7",
        "stage   layout",
        "state   finished",
        "mrr     0.4312",
        "values  x=0.25 kind=a",
        "",
        "trial   8",
        "stage   weights-and-more",
        "state   stopped",
        "mrr     0.0711",
    ]


def test_without_headings_the_cells_stand_alone() -> None:
    assert draw(table(("", ""), [("a-parameter", "a value of some length")]), 16).splitlines() == [
        "a-parameter",
        "a value of some",
        "length",
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_value_of_a_search_is_lost_or_broken(half_done: tuple[SearchFolder, Ledger], width: int) -> None:
    folder, ledger = half_done
    snapshot = take("first", folder.path, ledger)
    screens = {
        "trials": trials._table(snapshot, list(snapshot.trials)),
        "best": best.screen(snapshot, snapshot.ranking.best(3), None),
        "status": standing.one_screen(standing.standing(folder)),
    }
    for name, made in screens.items():
        drawn = draw(made, width)
        together = "".join(drawn.split())
        for word in ("0.3500", "weights", "layout", "0.62"):
            assert word in drawn, f"{name} at {width}:\n{drawn}"
        assert "…" not in drawn, drawn
        assert "011-110-001-100-111-010-101-000-011-110-001-100" in together, drawn


def test_what_is_made_for_a_width_gets_it() -> None:
    assert draw(Fitted(lambda width: visible(width)), 33) == "33"
