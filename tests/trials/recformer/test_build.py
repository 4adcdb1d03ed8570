"""What does not fit is refused, with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.errors import InputError
from trials.data.preparing.dataset import SearchData
from trials.recformer import RecFormer, RecFormerConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 600}, r"max_tokens: backbone 'random-bert' reads at most 512 tokens, got 600; lower it"),
        ({"backbone": "random-distilbert"}, r"backbone 'random-distilbert': its layers cannot run alone"),
        ({"attributes": ("size",)}, r"attributes: data by-hand must have each, got size"),
    ],
)
def test_it_is_refused(data: SearchData, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    config = RecFormerConfig(**{"backbone": "random-bert", "max_tokens": 40, **settings})
    job = TrialJob(0, config, DataRequest("toy", {}), 1, tmp_path, AssetStore(tmp_path), WarmCache(), "cpu")
    with pytest.raises(InputError, match=message):
        RecFormer().build(config, data, job)
