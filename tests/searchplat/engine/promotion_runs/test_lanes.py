"""Two workers train as one does, on real Ray Train: the same losses, the same ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TestPermit
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.promotion_runs.messages import Assignment, Epoch, MayTest, Measured, Next, PromotionMessage
from searchplat.engine.worker.environment import quiet_environment
from searchplat.engine.worker.order import Order
from searchplat.errors import InputError
from searchplat.firewall import ISSUER
from searchplat.spec.model import Resources
from trials.data import prepare

VALUES: dict[str, Any] = {
    # Not a multiple of two: the parts differ in size. Without dropout, whose masks two workers draw apart.
    "epochs": 3, "batch_size": 7, "hidden_size": 16, "inner_size": 32, "dropout": 0.0, "learning_rate": 0.005,
}  # fmt: skip
TRAINED = {"train/loss", "train/next", "valid/mrr", "valid/recall@10", "valid/ndcg@10"}


class Driver:
    """Hands out one run, and keeps what is said of it."""

    def __init__(self, folder: Path) -> None:
        order = Order(None, "sasrec", full_config("sasrec", VALUES), "toy", {}, 1.0, 0, 3, str(folder))
        self._runs = [Assignment(("final", "c", 3), order, True, "valid/mrr", True, 5, ("mrr",))]
        self.epochs: list[dict[str, float]] = []
        self.tested: Measured | None = None

    def answer(self, lane: int, message: PromotionMessage) -> Any:
        match message:
            case Next():
                return self._runs.pop() if self._runs else "stop"
            case MayTest():
                return TestPermit("s", 1, 1, ISSUER)
            case Epoch():
                self.epochs.append({name: message.metrics[name] for name in TRAINED})
            case Measured():
                self.tested = message
            case _:
                raise AssertionError(message)
        return None


@pytest.mark.by_hand
@pytest.mark.slow  # trains twice, with two processes
def test_two_workers_give_the_losses_of_one_with_the_same_global_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    prepare(DataRequest("toy"), AssetStore())
    from searchplat.engine.cluster.connect import connected
    from searchplat.engine.promotion_runs.lanes import lanes, run_lanes

    drivers = []
    with connected(None, quiet_environment()):
        resources = Resources(cpu=1, gpu=0)
        for workers in (1, 2):
            driver = Driver(tmp_path / f"by-{workers}")
            plan = lanes(resources, 1, workers, tmp_path / f"scratch-{workers}")
            assert (plan.count, plan.workers) == (1, workers)
            run_lanes(plan, driver.answer, lambda: False)
            drivers.append(driver)
        with pytest.raises(InputError, match="--workers: 1000 workers of 1 CPU each must fit"):
            lanes(resources, 1, 1000, tmp_path)
    one, two = drivers
    assert len(one.epochs) == len(two.epochs) == VALUES["epochs"]
    assert one.epochs[-1]["train/loss"] < 0.9 * one.epochs[0]["train/loss"]
    for alone, together in zip(one.epochs, two.epochs, strict=True):
        assert together == pytest.approx(alone, rel=1e-4)
    assert one.tested is not None
    assert two.tested is not None
    assert two.tested.metrics == pytest.approx(one.tested.metrics, rel=1e-4)
    ranks = [np.load(tested.ranks or "") for tested in (one.tested, two.tested)]
    assert (ranks[0] == ranks[1]).mean() > 0.95  # near ties may fall to the other side
