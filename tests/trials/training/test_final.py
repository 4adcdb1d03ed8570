"""Early stopping keeps the best epoch's weights, survives an interruption, and is tested on those weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from method_cases import CASES, Bench

from searchplat.contract import FinalJob, TestPermit
from searchplat.errors import InputError
from searchplat.firewall import ISSUER, sealed
from trials.training.final import FinalLoop

PERMIT = TestPermit("s", 1, 1, ISSUER)
Start = Callable[..., FinalLoop]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    bench = Bench(CASES["sasrec"], tmp_path / "cache")

    def start(folder: str = "run", patience: int = 3, **values: Any) -> FinalLoop:
        job = FinalJob(bench.job(tmp_path / folder, **values), "valid/mrr", patience=patience)
        return bench.method.start_final(job)

    return start


def drive(loop: FinalLoop, most: int = 1000) -> list[dict[str, float]]:
    found = []
    while not loop.done and most > len(found):
        with sealed():  # training has no business with the test split
            found.append(loop.run_epoch())
        loop.save()
    return found


def test_training_ends_when_validation_has_not_improved_and_the_best_epoch_is_kept(start: Start) -> None:
    loop = start(patience=2, epochs=100, learning_rate=0.05, schedule="constant")
    values = [metrics["valid/mrr"] for metrics in drive(loop)]
    best = int(np.argmax(values))
    assert len(values) == best + 3 < 100
    assert (loop.best_epoch, loop.best_metrics["valid/mrr"]) == (best + 1, values[best])
    last_U = loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U)
    loop.test(PERMIT, ["mrr"])
    best_U = loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U)
    assert float((1 / best_U).mean()) == pytest.approx(values[best])
    assert float((1 / last_U).mean()) == pytest.approx(values[-1])


def test_an_interrupted_training_gives_the_figures_of_an_uninterrupted_one(start: Start) -> None:
    options = {"patience": 2, "epochs": 20, "learning_rate": 0.05}
    whole = start("whole", **options)
    expected = [metrics["valid/mrr"] for metrics in drive(whole)]
    drive(start("cut", **options), most=whole.best_epoch)
    again = start("cut", **options)
    assert again.restore() == whole.best_epoch
    assert (again.best_epoch, again.best_metrics["valid/mrr"]) == (whole.best_epoch, max(expected))
    drive(again)
    assert again.epoch == whole.epoch
    first, second = whole.test(PERMIT, ["mrr"]), again.test(PERMIT, ["mrr"])
    assert first.metrics == second.metrics
    assert (np.load(first.ranks) == np.load(second.ranks)).all()


def test_a_best_epoch_that_no_checkpoint_knows_of_is_left_aside(start: Start) -> None:
    """Killed between the two: the weights of epoch 2 are there, the checkpoint is of epoch 1."""
    loop = start(epochs=1)
    drive(loop)
    weights = loop.folder / "best"
    (weights / "epoch-0001").rename(weights / "kept")
    ahead = start("ahead", epochs=2, learning_rate=0.05, schedule="constant")
    drive(ahead)
    assert ahead.best_epoch == 2
    (ahead.folder / "best" / "epoch-0002").rename(weights / "epoch-0002")
    (weights / "kept").rename(weights / "epoch-0001")
    loop.test(PERMIT, ["mrr"])
    assert loop.best_epoch == 1


def test_damaged_weights_are_refused(start: Start) -> None:
    loop = start(epochs=1)
    drive(loop)
    path = loop.folder / "best" / "epoch-0001" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="the weights of epoch 1 must be there, undamaged"):
        loop.test(PERMIT, ["mrr"])


def test_several_workers_need_a_model_that_shares_batches(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from trials.sasrec.model import SASRecModel
    from trials.training.recommender import Recommender

    loop = start()
    monkeypatch.setattr(SASRecModel, "share", Recommender.share)
    with pytest.raises(InputError, match="SASRecModel cannot be trained by 2 workers, as it divides no batch"):
        FinalLoop(loop.model, loop.data, replace(loop._job, workers=2), "sasrec")
