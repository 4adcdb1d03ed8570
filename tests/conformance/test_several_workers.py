"""Two processes that train one model together report what one does, of every method: losses, metrics, diagnostics.

Without dropout, which every worker draws for its own examples. The tolerances are what sums of float32 in another order
leave after a few steps of Adam.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from method_cases import CASES, Bench
from together import epochs, in_step, start, together

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOSS, METRIC = 1e-4, 2e-3
"""Relative tolerance of losses, absolute of metrics: equal scores may change places."""


def check_same(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert [list(one) for one in found] == [list(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        losses = {name: value for name, value in other.items() if name.startswith("train/")}
        assert {name: one[name] for name in losses} == pytest.approx(losses, rel=LOSS, abs=1e-6)
        assert one == pytest.approx(other, rel=LOSS, abs=METRIC)


EVERY_TIME = ("sasrec", "bert4rec", "mf", "unisrec", "darec-llama", "laser-windows", "cramer-sasrec")
"""One of each way in which a batch is shared; the others are tried by hand."""
NAMES = [pytest.param(name, marks=() if name in EVERY_TIME else pytest.mark.by_hand) for name in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_two_workers_report_what_one_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_OFFLINE", "1")
    bench = Bench(CASES[name], tmp_path / "cache")
    expected = epochs(start(bench, tmp_path / "alone"))
    first, second = together(2, tmp_path / "said", partial(in_step, name, tmp_path / "cache", tmp_path / "together", 2))
    assert first == second
    check_same(first, expected)
