"""What a method is asked to prepare before any trial starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchplat.engine import prepare
from searchplat.engine.monitor import Silent
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
    assert sorted(name for name, _ in prepared) == ["popularity", "sasrec"]
