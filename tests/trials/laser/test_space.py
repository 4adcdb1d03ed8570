from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.spec.load import load
from trials.laser import LaserConfig

SPACE = Path(__file__).resolve().parents[3] / "spaces" / "laser.yaml"


@pytest.mark.parametrize("scale", ["smoke", "quick", "paper"])
def test_every_sampled_point_is_a_config(scale: str) -> None:
    spec = load(SPACE, scale=scale)
    rng = np.random.default_rng(0)
    for _ in range(20):
        LaserConfig.model_validate({**spec.fixed, **spec.space.sample(rng)})
    assert [control.name for control in spec.controls][:4] == ["popularity", "markov", "sasrec", "default"]


def test_the_papers_scale_has_its_ablations() -> None:
    spec = load(SPACE, scale="paper")
    ablations = [control.values["variant"] for control in spec.controls if "variant" in control.values]
    assert len(ablations) == 8
    assert len(set(ablations)) == 8


def test_a_variant_can_be_fixed_from_outside() -> None:
    spec = load(SPACE, scale="smoke", overrides=["variant=no-prefix"])
    assert spec.fixed["variant"] == "no-prefix"
