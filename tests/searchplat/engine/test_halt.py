"""The early end of an experiment: gently with a grace time, or at once, and never by way of Tune's own errors."""

from __future__ import annotations

import pytest

from searchplat.engine.halt import Halt
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
