"""The early end of an experiment: gently with a grace time, or at once."""

from __future__ import annotations

import time

import pytest

from searchplat.engine.shutdown.shutdown import LEAVE_S, Shutdown
from searchplat.errors import TryAgainError


def test_a_gentle_end_waits_for_trials_at_work_but_not_for_ever() -> None:
    shutdown = Shutdown(grace_s=1000)
    assert not shutdown.asked
    assert not shutdown.due(0)
    shutdown.gently()
    assert shutdown.asked
    assert shutdown.due(0)
    assert not shutdown.due(1)
    shutdown.gently()  # a second wish does not prolong it
    assert not shutdown.due(1)
    impatient = Shutdown(grace_s=0)
    impatient.gently()
    assert impatient.due(1)


def test_an_end_at_once_ends_the_grace_time_too() -> None:
    shutdown = Shutdown(grace_s=1000)
    shutdown.gently()
    shutdown.at_once()
    assert shutdown.due(2)
    assert shutdown.error is None


def test_signals_ask_gently_at_once_and_for_nothing_more() -> None:
    shutdown = Shutdown(grace_s=1000)
    assert shutdown.left_s(0.0) == float("inf")
    shutdown.under_way = True
    shutdown.hear(15)
    assert not shutdown.due(1)
    assert shutdown.left_s(0.0) > 900
    shutdown.hear(2)
    assert shutdown.due(1)
    assert 0 < shutdown.left_s(0.0) <= LEAVE_S
    shutdown.hear(2)
    assert shutdown.left_s(time.monotonic()) == 0
    assert shutdown.signal == 15


def test_a_grace_time_is_for_what_is_under_way() -> None:
    idle, over = Shutdown(grace_s=1000), Shutdown(grace_s=1000)
    idle.hear(15)
    assert idle.left_s(0.0) <= LEAVE_S
    over.under_way = True
    over.hear(15)
    over.no_more()
    assert over.left_s(0.0) <= LEAVE_S


def test_errors_of_the_moment_end_the_experiment_and_others_pass() -> None:
    shutdown = Shutdown()
    with shutdown.guarding():
        raise TryAgainError("first")
    with shutdown.guarding():
        raise TryAgainError("second")
    assert str(shutdown.error) == "first"
    assert shutdown.due(2)
    with pytest.raises(ValueError, match="other"), Shutdown().guarding():
        raise ValueError("other")
