from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.spec.load import load
from trials.cramer import CRAMERConfig

SPACE = Path(__file__).resolve().parents[3] / "spaces" / "cramer.yaml"


@pytest.mark.parametrize("scale", ["smoke", "quick", "evening", "paper"])
def test_sasrec_the_papers_values_and_the_bare_backbone_are_controls(scale: str) -> None:
    spec = load(SPACE, scale=scale)
    assert [control.name for control in spec.controls][2:5] == ["sasrec", "default", "no-request"]


def test_the_paper_scale_has_the_papers_grid_of_weights_and_four_encoders() -> None:
    space = load(SPACE, scale="paper").space
    assert len(space["encoder"].choices) == 4
    found = {round(space["lambda_kl"].sample(np.random.default_rng(seed)), 9) for seed in range(100)}
    assert found == {0.1, 0.2, 0.3, 0.4, 0.5}


def test_trials_of_the_quick_scale_share_a_backbone_and_a_frozen_encoder() -> None:
    spec = load(SPACE, scale="quick")
    rng = np.random.default_rng(0)
    configs = [CRAMERConfig.model_validate({**spec.fixed, **spec.space.sample(rng)}) for _ in range(10)]
    assert {config.tuned for config in configs} == {"none"}
    assert len({config.backbone_settings.model_dump_json() for config in configs}) == 1
