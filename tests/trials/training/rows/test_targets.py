"""An epoch's targets: places behind the first, none twice, of every user who has one."""

from __future__ import annotations

import numpy as np
import pytest

from trials.training.rows.targets import TargetDrawer

OFFSETS = np.array([0, 1, 6, 8, 8, 11])
LENGTHS = {1: 5, 2: 2, 4: 3}


@pytest.mark.parametrize("most", [1, 2, None])
def test_each_user_has_as_many_as_there_are_or_may_be(most: int | None) -> None:
    drawer = TargetDrawer(OFFSETS, most)
    users, places = drawer.draw(np.random.default_rng(0))
    drawn = set(zip(users.tolist(), places.tolist(), strict=True))
    assert len(drawn) == len(users) == len(drawer)
    assert drawn <= {(user, place) for user, length in LENGTHS.items() for place in range(1, length)}
    for user, length in LENGTHS.items():
        assert (users == user).sum() == (length - 1 if most is None else min(most, length - 1))


def test_the_last_is_no_draw_and_others_are() -> None:
    users, places = TargetDrawer(OFFSETS, None, last=True).draw(np.random.default_rng(0))
    assert dict(zip(users.tolist(), places.tolist(), strict=True)) == {1: 4, 2: 1, 4: 2}
    drawer, rng = TargetDrawer(OFFSETS, 1), np.random.default_rng(0)
    draws = [sorted(zip(*(row.tolist() for row in drawer.draw(rng)), strict=True)) for _ in range(20)]
    assert {place for draw in draws for user, place in draw if user == 1} == {1, 2, 3, 4}
