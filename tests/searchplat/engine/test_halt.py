"""The early end of an experiment: gently with a grace time, or at once, and never by way of Tune's own errors."""

from __future__ import annotations

import time

import pytest

from searchplat.engine.halt import LEAVE_S, Halt
from searchplat.errors import TryAgainError


def test_a_gentle_end_waits_for_trials_at_work_but_not_for_ever() -> None:
    halt = Halt(grace_s=1000)
    assert not halt.asked
    assert not halt.due(0)
    halt.gently()
    assert halt.asked
    assert halt.due(0)
    assert not halt.due(1)
    halt.gently()  # a second wish does not prolong it
    assert not halt.due(1)
    impatient = Halt(grace_s=0)
    impatient.gently()
    assert impatient.due(1)


def test_an_end_at_once_ends_the_grace_time_too() -> None:
    halt = Halt(grace_s=1000)
    halt.gently()
    halt.at_once()
    assert halt.due(2)
    assert halt.error is None


def test_signals_ask_gently_at_once_and_for_nothing_more() -> None:
    halt = Halt(grace_s=1000)
    assert halt.left_s(0.0) == float("inf")
    halt.under_way = True
    halt.hear(15)
    assert not halt.due(1)
    assert halt.left_s(0.0) > 900
    halt.hear(2)
    assert halt.due(1)
    assert 0 < halt.left_s(0.0) <= LEAVE_S
    halt.hear(2)
    assert halt.left_s(time.monotonic()) == 0
    assert halt.signal == 15


def test_a_grace_time_is_for_what_is_under_way() -> None:
    idle, over = Halt(grace_s=1000), Halt(grace_s=1000)
    idle.hear(15)
    assert idle.left_s(0.0) <= LEAVE_S
    over.under_way = True
    over.hear(15)
    over.no_more()
    assert over.left_s(0.0) <= LEAVE_S


def test_errors_of_the_moment_end_the_experiment_and_others_pass() -> None:
    halt = Halt()
    with halt.guarding():
        raise TryAgainError("first")
    with halt.guarding():
        raise TryAgainError("second")
    assert str(halt.error) == "first"
    assert halt.due(2)
    with pytest.raises(ValueError, match="other"), Halt().guarding():
        raise ValueError("other")
