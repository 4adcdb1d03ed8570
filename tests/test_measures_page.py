"""The page on measures has a row for each of them, and names every group."""

from __future__ import annotations

import re
from pathlib import Path

from searchplat.contract.measures import GROUPS, MEASURES, Measure

PAGE = Path(__file__).parents[1] / "docs" / "measures.md"


def row(measure: Measure) -> str:
    names = ([f"`{measure.name}`"] if measure.whole else []) + [f"`{measure.name}@k`"]
    high = "∞)" if measure.high is None else f"{measure.high:g}]"
    better = "larger" if measure.larger else "smaller"
    return f"| {', '.join(names)} | {measure.formula} | [{measure.low:g}, {high} | {better} | {measure.source} |"


def test_every_measure_has_its_row() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if "@k` | " in line]
    assert rows == [row(measure) for measure in MEASURES]


def test_every_group_is_named() -> None:
    assert set(re.findall(r"`([a-z]+)/`", PAGE.read_text(encoding="utf-8"))) == set(GROUPS)
