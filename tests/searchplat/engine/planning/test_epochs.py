"""For how many epochs a configuration trains."""

from __future__ import annotations

from searchplat.engine.planning.epochs import epochs_of


def test_of_a_method_without_a_field_for_them_only_its_training_knows() -> None:
    assert epochs_of({"epochs": 7}) == 7
    assert epochs_of({"epochs": None}) is None
    assert epochs_of({"width": 3}) is None
