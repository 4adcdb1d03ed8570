from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.spec.load import load
from trials.mf import MFConfig

SPACE = Path(__file__).resolve().parents[3] / "spaces" / "mf.yaml"


@pytest.mark.parametrize("scale", ["smoke", "quick", "paper"])
def test_every_sampled_point_is_a_config(scale: str) -> None:
    spec = load(SPACE, scale=scale)
    rng = np.random.default_rng(0)
    for _ in range(20):
        MFConfig.model_validate({**spec.fixed, **spec.space.sample(rng)})
    assert [control.name for control in spec.controls][:3] == ["popularity", "markov", "default"]
