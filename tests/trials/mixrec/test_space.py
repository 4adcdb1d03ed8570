from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.spec.load import load
from trials.mixrec import MixRecConfig

SPACE = Path(__file__).resolve().parents[3] / "spaces" / "mixrec.yaml"
CONTROLS = ["popularity", "markov", "default", "all-serial", "mixrec-base", "same-mask", "frozen-cf", "random"]


@pytest.mark.parametrize("scale", ["smoke", "quick", "evening", "paper"])
def test_every_sampled_point_is_a_config(scale: str) -> None:
    spec = load(SPACE, scale=scale)
    rng = np.random.default_rng(0)
    for _ in range(30):
        config = MixRecConfig.model_validate({**spec.fixed, **spec.space.sample(rng)})
        assert config.composition == MixRecConfig.VARIANTS["mixrec"]
    assert [control.name for control in spec.controls][: len(CONTROLS)] == CONTROLS


def test_layouts_are_searched_before_the_gate_and_the_weights() -> None:
    stages = {stage.name: stage for stage in load(SPACE, scale="paper").stages}
    assert {name: stage.searcher.name for name, stage in stages.items()} == {"layout": "pr", "weights": "tpe"}
    assert tuple(stages["layout"].over) == ("layout",)
    assert {"hard_routing", "temperature", "bottleneck", "cf_training"} <= set(stages["weights"].over)
