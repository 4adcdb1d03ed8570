"""Importance on a function whose important parameter is known."""

from __future__ import annotations

import numpy as np
import pytest

from searchplat.searchers import importance as module
from searchplat.searchers.importance import importance
from searchplat.spec.space import Categorical, Float, Space

SPACE = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0), Categorical("kind", ("a", "b"))))


def test_what_decides_comes_first_whichever_way_is_better() -> None:
    points = [SPACE.sample(np.random.default_rng(seed)) for seed in range(60)]
    values = [5 * float(p["x"]) + 0.1 * float(p["y"]) for p in points]
    for maximize in (True, False):
        shares = importance(SPACE, points, values, maximize)
        assert next(iter(shares)) == "x"
        assert set(shares) == {"x", "y", "kind"}
        assert sum(shares.values()) == pytest.approx(1)


def test_nothing_to_tell() -> None:
    assert importance(SPACE, [], [], True) == {}


def test_a_part_of_very_many_trials_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [SPACE.sample(np.random.default_rng(seed)) for seed in range(240)]
    values = [5 * float(p["x"]) + float(p["y"]) for p in points]
    for maximize in (True, False):
        exact = importance(SPACE, points, values, maximize)
        monkeypatch.setattr(module, "_MOST", 120)
        part = importance(SPACE, points, values, maximize)
        monkeypatch.undo()
        assert next(iter(part)) == next(iter(exact)) == "x"
        assert part == {name: pytest.approx(share, abs=0.15) for name, share in exact.items()}
