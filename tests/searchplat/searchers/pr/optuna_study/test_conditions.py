from __future__ import annotations

import math

import torch

from searchplat.searchers.pr.encoding import Axis, Kind
from searchplat.searchers.pr.optuna_study.conditions import When, conditions

NAN = math.nan
MODEL, BIT, REAL = Axis("model", Kind.CATEGORICAL, 3), Axis("bit", Kind.BIT), Axis("x", Kind.REAL, 0)


def told(axes: list[Axis], rows: list[list[float]], whole: list[bool] | None = None) -> list[When]:
    codes = torch.tensor(rows, dtype=torch.float64)
    return conditions(axes, codes, torch.tensor(whole or [True] * len(rows)))


def test_without_absences_there_are_no_conditions() -> None:
    assert told([MODEL, BIT], [[0, 1], [2, 0]]) == [(), ()]


def test_levels_seen_only_without_a_parameter_switch_it_off() -> None:
    assert told([MODEL, REAL], [[0, 0.5], [1, NAN]]) == [(), ((0, (0, 2)),)]  # level 2 may have it


def test_a_chain_names_the_axis_that_explains_most() -> None:
    rows = [[0, NAN, NAN], [1, 0, NAN], [1, 1, 0.3], [0, NAN, NAN]]

    assert told([BIT, BIT, REAL], rows) == [(), ((0, (1,)),), ((1, (1,)),)]


def test_two_conditions_hold_together() -> None:
    rows = [[0, 0, NAN], [0, 1, NAN], [1, 0, NAN], [1, 1, 0.3]]

    assert told([BIT, BIT, REAL], rows)[2] == ((0, (1,)), (1, (1,)))


def test_a_trial_that_did_not_end_shows_what_it_had_and_nothing_else() -> None:
    assert told([BIT, REAL], [[0, 0.5], [1, NAN]], [True, False]) == [(), ()]
    assert told([BIT, REAL], [[0, 0.5], [1, NAN], [1, 0.1]], [True, True, False]) == [(), ()]


def test_what_no_axis_with_levels_explains_has_no_condition() -> None:
    assert told([REAL, REAL], [[0.2, NAN], [0.8, 0.5]]) == [(), ()]
    assert told([BIT, REAL], [[0, NAN], [0, 0.5]]) == [(), ()]
