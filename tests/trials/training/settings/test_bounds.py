from __future__ import annotations

import pytest
from pydantic import BaseModel

from trials.training.settings.bounds import check_at_most, check_divides


class Settings(BaseModel):
    heads: int | None = 2
    width: int | None = 6


def test_a_setting_must_not_exceed_its_bound_where_both_are_numbers() -> None:
    for heads, width in ((6, 6), (None, 6), (7, None)):
        check_at_most(Settings(heads=heads, width=width), "heads", "width")
    with pytest.raises(ValueError, match=r"^heads must not exceed width, got heads=7, width=6; lower heads$"):
        check_at_most(Settings(heads=7), "heads", "width")
    with pytest.raises(ValueError, match=r"^heads must not exceed width, got heads=7, width=6; there are no more$"):
        check_at_most(Settings(heads=7), "heads", "width", "there are no more")


def test_a_setting_must_divide_what_it_is_a_part_of() -> None:
    check_divides(Settings(heads=3), "heads", "width")
    with pytest.raises(ValueError, match=r"^heads must divide width, got heads=4, width=6; change one of them$"):
        check_divides(Settings(heads=4), "heads", "width")
