from __future__ import annotations

import numpy as np

from searchplat.searchers.nearest import nearest
from searchplat.searchers.points import key
from searchplat.spec.space import Categorical, Condition, Constraint, Float, Int, Layout, Space

LAYOUT = Layout("layout", 4, ("a", "b", "c"), ("no", "yes"), at_most={"yes": 10})
SPACE = Space(
    (LAYOUT, Int("n", 0, 100), Float("x", 0.0, 1.0), Categorical("kind", ("one", "two")),
     Int("m", 0, 9, when=(Condition("kind", ("two",)),))),
    (Constraint("count(layout, '1') <= 4"), Constraint("n <= 60"), Constraint("kind == 'one' or m + n > 3")),
)  # fmt: skip


def test_what_may_stay_of_a_wish_stays() -> None:
    wish = {"layout": "111-111-000-000", "n": 90, "x": 0.125, "kind": "two", "m": 7}

    point = nearest(SPACE, wish, np.random.default_rng(0), {}, set())

    assert point is not None
    assert SPACE.refusals(point) == []
    assert (point["x"], point["kind"], point["m"]) == (0.125, "two", 7)
    assert point["n"] > 30  # of 90 as much as goes
    ones = [bit for bit, one in enumerate(point["layout"].replace("-", "")) if one == "1"]
    assert len(ones) == 4
    assert set(ones) <= set(range(6))  # only bits that were wished for


def test_an_untried_point_is_found_beside_one_that_was_tried() -> None:
    space = Space((Int("a", 1, 4), Int("b", 1, 4)), (Constraint("a == b"),))
    known = {key(space, {"a": a, "b": a}) for a in (1, 2, 3)}

    assert nearest(space, {"a": 1, "b": 2}, np.random.default_rng(0), {}, known) == {"a": 4, "b": 4}
    known.add(key(space, {"a": 4, "b": 4}))
    assert nearest(space, {"a": 1, "b": 2}, np.random.default_rng(0), {}, known) is None
