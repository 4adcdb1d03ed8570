"""The main job on real data with real pretrained weights, shortened: what the README's first command does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searchplat.assets import AssetStore
from searchplat.errors import AssetError
from searchplat.ledger import Ledger
from searchplat.ledger.ranking import Ranking
from searchplat.spec import load

SPACE = Path(__file__).parents[1] / "spaces" / "darec.yaml"
SETS = (
    "stages.layout.trials=2",
    "stages.layout.data_fraction=0.1",
    "stages.weights.trials=2",
    "stages.weights.data_fraction=0.1",
    "epochs=1",
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_darec_searches_movielens_with_smollm2(tmp_path: Path) -> None:
    try:
        for asset in ("ml-100k", "smollm2-135m", "minilm-l6-v2"):
            AssetStore().fetch(asset)
    except AssetError as error:
        pytest.skip(f"data and weights cannot be fetched here: {error}")
    sets = [word for item in SETS for word in ("--set", item)]
    done = subprocess.run(
        [sys.executable, "-m", "searchplat", "search", str(SPACE), "--name", "main", *sets],
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with Ledger.read(tmp_path / "runs" / "main" / "ledger.sqlite") as ledger:
        trials = ledger.trials()
        ranking = Ranking.of(ledger)
    best = ranking.best(1)[0]
    controls = {trial.control: trial for trial in ranking.controls}
    assert {trial.state for trial in trials} == {"finished"}
    assert len(trials) == 4 + sum(control.trials for control in load(SPACE).controls)
    assert best.config["backbone"] == "smollm2-135m"
    assert best.objectives is not None
    assert controls["popularity"].objectives is not None
