from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.spec.scale import at_share, share_of

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=5e-324, allow_infinity=False)


@given(FLOATS, FLOATS, FLOATS, st.floats(0, 1))
def test_shares_and_numbers_stay_within_their_ends(one: float, other: float, value: float, share: float) -> None:
    low, high = sorted((one, other))

    assert 0 <= share_of(value, low, high) <= 1
    assert low <= at_share(share, low, high) <= high


@given(POSITIVE, POSITIVE, POSITIVE, st.floats(0, 1))
def test_so_they_do_on_a_logarithmic_axis(one: float, other: float, value: float, share: float) -> None:
    low, high = sorted((one, other))

    assert 0 <= share_of(value, low, high, log=True) <= 1 + 1e-12
    assert low <= at_share(share, low, high, log=True) <= high


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (0, 1, False),
        (-3.0, 7.0, False),
        (-1.7e308, 1.7e308, False),
        (1e-5, 1e2, True),
        (1e-300, 1e300, True),
        (1, 2**60, True),
    ],
)
def test_a_number_lies_where_its_share_says(low: float, high: float, log: bool) -> None:
    for share in (0.0, 0.25, 0.5, 1.0):
        assert share_of(at_share(share, low, high, log), low, high, log) == pytest.approx(share, abs=1e-9)


def test_an_axis_of_one_value_has_one_share() -> None:
    assert share_of(3.0, 3.0, 3.0) == share_of(3.0, 3.0, 3.0, log=True) == 0
    assert at_share(0.7, 3.0, 3.0) == at_share(0.7, 3.0, 3.0, log=True) == 3
    assert share_of(2.0, 1.0, math.nextafter(1.0, 2), log=True) == 1
