"""Which bit says what."""

from __future__ import annotations

import pytest

from trials.dual.layout import PARALLEL, SERIAL, Designs, parse_layout


def test_bits_are_causal_context_recommend() -> None:
    assert parse_layout("100-010-001", 3) == (
        Designs(causal=True, context=False, recommend=False),
        Designs(causal=False, context=True, recommend=False),
        Designs(causal=False, context=False, recommend=True),
    )


def test_names_stand_for_every_layer() -> None:
    assert parse_layout("serial", 3) == (SERIAL,) * 3 == parse_layout("000-000-000", 3)
    assert parse_layout("parallel", 2) == (PARALLEL,) * 2 == parse_layout("111-111", 2)


@pytest.mark.parametrize("text", ["", "mixed", "00", "0000", "000-00", "002", "000_111", "000--111"])
def test_unreadable(text: str) -> None:
    with pytest.raises(ValueError, match="must be serial, parallel, or groups of 3 bits"):
        parse_layout(text, None)


def test_wrong_number_of_layers() -> None:
    with pytest.raises(ValueError, match=r"each of the 3 adapted layers, got 2 in '000-111'; give 3 groups"):
        parse_layout("000-111", 3)
