"""One run of a promotion in this process: what is told to the driver, and how failures are sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TestPermit, WarmCache
from searchplat.engine.checkpoints.storage import Storage
from searchplat.engine.checkpoints.sync import fetch_results
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.promotion_runs.messages import (
    AskDriver,
    Assignment,
    Ended,
    Epoch,
    MayTest,
    Measured,
    PromotionMessage,
)
from searchplat.engine.promotion_runs.run import final_run, race_run
from searchplat.engine.worker.messages import Said
from searchplat.engine.worker.order import Order
from searchplat.errors import TryAgainError
from searchplat.firewall import ISSUER, is_sealed
from trials.data import prepare
from trials.training.final import FinalLoop

Messages = list[PromotionMessage]
SASREC = {"epochs": 3, "batch_size": 32, "hidden_size": 8, "inner_size": 16}


@pytest.fixture(autouse=True)
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    prepare(DataRequest("toy"), AssetStore())


def assignment(folder: Path, method: str, final: bool, **values: Any) -> Assignment:
    order = Order(1, method, full_config(method, values), "toy", {}, 1.0, 0, 3, str(folder))
    return Assignment(("final" if final else "race", "c", 3), order, final, "valid/mrr", True, 5, ("mrr",))


def told(run: Callable[[AskDriver], None]) -> Messages:
    messages: Messages = []

    def ask(message: PromotionMessage) -> Any:
        messages.append(message)
        return TestPermit("s", 1, 1, ISSUER) if isinstance(message, MayTest) else None

    run(ask)
    return messages


def final(work: Assignment) -> Messages:
    return told(lambda ask: final_run(work, WarmCache(), "cpu", 0, 1, ask, ask))


def race(work: Assignment) -> Messages:
    return told(lambda ask: race_run(work, WarmCache(), "cpu", ask))


def test_a_race_tells_every_epoch_and_asks_for_no_test(tmp_path: Path) -> None:
    messages = race(assignment(tmp_path / "run", "rehearsal", False, epochs=2))
    assert [(m.epoch, m.done) for m in messages if isinstance(m, Epoch)] == [(1, False), (2, True)]
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        ("nan", Said.INFEASIBLE, "diverged in epoch 2: valid/mrr"),
        ("raise", Said.BUG, "a planted bug"),
        ("memory", Said.INFEASIBLE, "out of memory: planted"),
    ],
)
def test_what_goes_wrong_in_a_race_is_told(tmp_path: Path, fault: str, kind: Said, cause: str) -> None:
    *_, last = race(assignment(tmp_path / "run", "rehearsal", False, fault=fault))
    assert isinstance(last, Ended)
    assert last.kind is kind
    assert cause in last.cause


@pytest.mark.parametrize(("fault", "fields"), [("input", ()), ("unfit", ("fault", "x"))])
def test_wrong_input_is_told_as_such_with_what_it_depends_on(
    tmp_path: Path, fault: str, fields: tuple[str, ...]
) -> None:
    *_, last = race(assignment(tmp_path / "run", "rehearsal", False, fault=fault))
    assert isinstance(last, Ended)
    assert (last.kind, last.fields) == (Said.WRONG_INPUT, fields)
    assert "Traceback" not in last.cause


def test_wrong_input_found_in_a_final_run_is_told_and_its_worker_stays(tmp_path: Path) -> None:
    """With the test item no user of so few items has two left, which validation did not show."""
    values = {**SASREC, "epochs": 1, "sampled_negatives": 2}
    order = assignment(tmp_path / "run", "sasrec", True, **values).order
    few = replace(order, data_options={"items": 8, "length": 6, "users": 20})
    *_, last = final(Assignment(("final", "c", 3), few, True, "valid/mrr", True, 5, ("mrr",)))
    assert isinstance(last, Ended)
    assert (last.kind, last.fields) == (Said.WRONG_INPUT, ("sampled_negatives",))


def test_a_final_run_tells_its_epochs_then_asks_for_the_test_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_of_reach = []
    train = FinalLoop.run_epoch

    def run_epoch(self: FinalLoop) -> dict[str, float]:
        out_of_reach.append(is_sealed())
        return train(self)

    monkeypatch.setattr(FinalLoop, "run_epoch", run_epoch)
    messages = final(assignment(tmp_path / "run", "sasrec", True, **SASREC))
    *epochs, asked, tested = messages
    assert isinstance(asked, MayTest)
    assert out_of_reach == [True] * 3
    values = [m.metrics["valid/mrr"] for m in epochs if isinstance(m, Epoch)]
    last = epochs[-1]
    assert len(values) == 3
    assert isinstance(last, Epoch)
    assert last.best is not None
    assert last.best["valid/mrr"] == values[last.best_epoch - 1]
    assert isinstance(tested, Measured)
    assert tested.num_users == 60
    assert Path(tested.ranks or "").is_file()


def test_a_final_run_that_is_taken_up_again_trains_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = assignment(tmp_path / "run", "sasrec", True, **SASREC)
    monkeypatch.setattr(FinalLoop, "test", _fail(RuntimeError("killed")))
    final(work)
    monkeypatch.undo()
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FinalLoop, "run_epoch", _fail(AssertionError("trained again")))
    assert [type(m) for m in final(work)] == [Epoch, MayTest, Measured]


def test_with_a_storage_another_machine_goes_on_and_what_is_left_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage.parse(str(tmp_path / "kept"))
    local = final(assignment(tmp_path / "local", "sasrec", True, **SASREC))
    work = assignment(tmp_path / "run", "sasrec", True, **SASREC)
    work = replace(work, order=replace(work.order, storage=storage.uri))
    train, epochs = FinalLoop.run_epoch, iter(range(2))

    def dies(self: FinalLoop) -> dict[str, float]:
        if next(epochs, None) is None:
            raise KeyboardInterrupt
        return train(self)

    monkeypatch.setattr(FinalLoop, "run_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        final(work)
    monkeypatch.setattr(FinalLoop, "run_epoch", train)
    messages = final(work)
    assert [m.epoch for m in messages if isinstance(m, Epoch)] == [2, 3]
    assert [type(m) for m in messages] == [Epoch, Epoch, MayTest, Measured]
    assert not (tmp_path / "run").exists()
    assert fetch_results(storage, tmp_path / "run")
    here, there = local[-1], messages[-1]
    assert isinstance(here, Measured)
    assert isinstance(there, Measured)
    assert there.ranks == "ranks.npy"
    assert there.metrics == here.metrics
    for name in ("ranks.npy", "model.safetensors", "model.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_a_storage_that_is_away_is_no_failure_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchplat.engine.checkpoints.storage.PATIENCE_S", 0.0)
    (tmp_path / "kept").touch()  # a file where the folder should be
    messages: Messages = []
    work = assignment(tmp_path / "run", "sasrec", True, **SASREC)
    work = replace(work, order=replace(work.order, storage=str(tmp_path / "kept")))
    with pytest.raises(TryAgainError):
        final_run(work, WarmCache(), "cpu", 0, 1, messages.append, messages.append)
    race_run(work, WarmCache(), "cpu", messages.append)
    assert [m.kind for m in messages if isinstance(m, Ended)] == [Said.NOT_NOW, Said.NOT_NOW]


@pytest.mark.parametrize(
    ("error", "kind", "cause"),
    [
        (MemoryError("full"), Said.INFEASIBLE, "out of memory: full"),
        (RuntimeError("a bug"), Said.BUG, "Traceback"),
    ],
)
def test_what_goes_wrong_in_a_final_run_is_told_and_no_test_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: Said, cause: str
) -> None:
    monkeypatch.setattr(FinalLoop, "run_epoch", _fail(error))
    (message,) = final(assignment(tmp_path / "run", "sasrec", True, **SASREC))
    assert isinstance(message, Ended)
    assert (message.kind, message.key) == (kind, ("final", "c", 3))
    assert cause in message.cause


def test_a_full_disk_is_no_failure_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FinalLoop, "run_epoch", _fail(OSError(28, "No space left on device")))
    messages: Messages = []
    work = assignment(tmp_path / "run", "sasrec", True, **SASREC)
    with pytest.raises(OSError, match="No space left"):
        final_run(work, WarmCache(), "cpu", 0, 1, messages.append, messages.append)
    assert [m.kind for m in messages if isinstance(m, Ended)] == [Said.NOT_NOW]


def test_a_final_run_that_diverges_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FinalLoop, "run_epoch", lambda self: {"train/loss": float("nan"), "other": float("nan")})
    (message,) = final(assignment(tmp_path / "run", "sasrec", True, **SASREC))
    assert isinstance(message, Ended)
    assert message.cause == "diverged in epoch 0: train/loss"


def test_several_workers_begin_anew_when_one_of_them_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Any, job: Any) -> Any:
        raise RuntimeError("only here")

    monkeypatch.setattr("trials.sasrec.SASRec.start_final", start)
    work = replace(assignment(tmp_path / "run", "sasrec", True, **SASREC))
    messages: Messages = []
    with pytest.raises(RuntimeError, match="only here"):
        final_run(work, WarmCache(), "cpu", 1, 2, messages.append, messages.append)
    assert [m.kind for m in messages if isinstance(m, Ended)] == [Said.BUG]


def _fail(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
