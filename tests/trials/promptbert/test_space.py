from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.spec.load import load
from trials.promptbert import PromptBERTConfig

SPACE = Path(__file__).resolve().parents[3] / "spaces" / "promptbert.yaml"


@pytest.mark.parametrize("scale", ["smoke", "quick", "evening", "paper"])
def test_every_sampled_point_is_a_config(scale: str) -> None:
    spec = load(SPACE, scale=scale)
    rng = np.random.default_rng(0)
    for _ in range(20):
        point = spec.space.sample(rng)
        PromptBERTConfig.model_validate({**spec.fixed, **point})
        if not point.get("contrast", True):
            assert "contrast_temperature" not in point
        if point.get("max_windows") == 1:
            assert "stride" not in point
    assert [control.name for control in spec.controls][:4] == ["popularity", "markov", "sasrec", "default"]


def test_the_paper_scale_has_the_rows_of_table_7() -> None:
    spec = load(SPACE, scale="paper")
    variants = {control.values.get("variant") for control in spec.controls} - {None}
    assert variants == {"without-moe", "without-short", "without-long", "backbone"}
