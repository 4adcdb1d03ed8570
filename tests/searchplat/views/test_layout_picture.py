"""The picture of a layout, line by line."""

from __future__ import annotations

from searchplat.spec.space import Layout
from searchplat.views.layout_picture import layout_grid

LAYOUT = Layout("layout", 3, ("causal", "context", "recommend"), ("serial", "parallel"))


def test_a_row_for_each_role_and_a_column_for_each_layer() -> None:
    assert [line.plain for line in layout_grid(LAYOUT, "010-000-111")] == [
        "layer      0 1 2",
        "causal     · · ■",
        "context    ■ · ■",
        "recommend  · · ■",
        "           · serial  ■ parallel",
    ]


def test_more_layers_than_fit_go_into_further_blocks() -> None:
    deep = Layout("layout", 40, ("causal", "context"), ("serial", "parallel"))
    lines = [line.plain for line in layout_grid(deep, "-".join(["01"] * 40), width=30)]
    assert max(map(len, lines)) <= 30
    assert sum(line.count("■") for line in lines[:-1]) == 40


def test_what_is_no_layout_is_shown_as_it_is() -> None:
    assert [line.plain for line in layout_grid(LAYOUT, "01\x1b")] == ["01\\x1b"]
