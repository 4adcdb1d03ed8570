"""What a method is asked to prepare before any trial starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from searches import rehearsal_spec

from searchplat.engine import prepare
from searchplat.engine.monitor import Silent
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.worker.order import Order
from searchplat.spec.load import load

SPACES = Path(__file__).resolve().parents[3] / "spaces"


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every config that is prepared, instead of preparing it."""
    found: list[Any] = []
    real = prepare.load_method

    def watched(name: str) -> Any:
        method = real(name)
        method.prepare = lambda config, data, assets: found.append((name, config))  # type: ignore[method-assign]
        return method

    monkeypatch.setattr(prepare, "load_method", watched)
    return found


def test_every_choice_of_weights_is_prepared_since_trials_cannot_fetch(prepared: list[Any]) -> None:
    spec = load(SPACES / "cramer.yaml", scale="paper")
    prepare.prepare(spec, Silent())
    found = {(config.backbone, config.encoder) for name, config in prepared if name == "cramer"}
    assert {("sasrec", encoder) for encoder in spec.space["encoder"].choices} <= found
    assert {("bert4rec", encoder) for encoder in spec.space["encoder"].choices} <= found


def test_other_fields_cost_no_further_preparations(prepared: list[Any]) -> None:
    prepare.prepare(load(SPACES / "sasrec.yaml", scale="smoke"), Silent())
    assert sorted(name for name, _ in prepared) == ["markov", "popularity", "sasrec"]


def test_a_trial_is_served_by_what_was_prepared_with_its_fixed_values_and_its_own_choices() -> None:
    spec = rehearsal_spec({"epochs": 2, "kind": "b"})
    needs = prepare.needs_of(spec)
    order = Order(
        number=0, method="rehearsal", config=full_config("rehearsal", {**spec.fixed, "x": 0.3}), data="toy",
        data_options={}, data_fraction=1.0, data_seed=spec.seed, seed=1, folder="x",
    )  # fmt: skip
    assert prepare.need_of(order, needs) is needs[0]
    for other in (
        replace(order, data_fraction=0.5),
        replace(order, data_seed=9),
        replace(order, config={**order.config, "kind": "a"}),
    ):
        own = prepare.need_of(other, needs)
        assert own not in needs
        assert (own.values, own.fraction, own.seed) == (other.config, other.data_fraction, other.data_seed)
        assert own.serves(other)
