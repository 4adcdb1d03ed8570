"""What Ray's dashboard calls a trial's process."""

from __future__ import annotations

from pathlib import Path

from searchplat.engine.actor import TrialActor, trainable
from searchplat.engine.work import Order


def test_a_process_is_named_after_its_search_and_its_first_trial(tmp_path: Path) -> None:
    folder = tmp_path / "darec-quick" / "checkpoints" / "00007"
    order = Order(7, "rehearsal", {}, "toy", {}, 1.0, 0, 1, str(folder))
    actor = TrialActor.__new__(TrialActor)
    actor._name = TrialActor.name_of(order)
    assert repr(actor) == "darec-quick, from trial 7 on"


def test_its_class_reads_well() -> None:
    made = trainable()
    assert (made.__name__, made.__qualname__) == ("Trial", "Trial")
    assert issubclass(made, TrialActor)
