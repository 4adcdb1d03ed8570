from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.spec.load import load

SPACE = Path(__file__).resolve().parents[3] / "spaces" / "laser.yaml"


@pytest.mark.parametrize("scale", ["smoke", "quick", "evening", "paper"])
def test_sasrec_and_the_papers_values_are_controls(scale: str) -> None:
    spec = load(SPACE, scale=scale)
    assert [control.name for control in spec.controls][2:4] == ["sasrec", "default"]


@pytest.mark.parametrize(("scale", "count"), [("evening", 5), ("paper", 8)])
def test_the_papers_ablations_are_controls(scale: str, count: int) -> None:
    spec = load(SPACE, scale=scale)
    ablations = [control.values["variant"] for control in spec.controls if "variant" in control.values]
    assert len(ablations) == count
    assert len(set(ablations)) == count


def test_a_variant_can_be_fixed_from_outside() -> None:
    spec = load(SPACE, scale="smoke", overrides=["variant=no-prefix"])
    assert spec.fixed["variant"] == "no-prefix"
