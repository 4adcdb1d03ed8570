"""A full disk: nothing new is begun, the exit code is 75, the ledger is whole, and with space again nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from interruptions import (
    SIDE_BY_SIDE,
    Whole,
    check_mlflow,
    check_nothing_lost,
    check_redone,
    command,
    event_is_there,
    ledger_path,
    outcome,
    trials_of,
    wait_until,
    write_space,
)
from small_disk import SmallDisk, small_disk

from searchplat.contract import WarmCache
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.errors import TryAgainError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.spec.model import Objective

MRR = [Objective("valid/mrr", maximize=True)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "runs", 16) as mounted:
        yield mounted


def integrity(ledger: Path, copy: Path) -> str:
    """What SQLite says of a copy: a full disk has no room for a reader's own files."""
    copy.mkdir()
    for path in ledger.parent.glob(f"{ledger.name}*"):
        shutil.copy(path, copy)
    with closing(sqlite3.connect(copy / ledger.name)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def test_a_ledger_on_a_full_disk_says_so_stays_whole_and_goes_on_with_space_again(
    disk: SmallDisk, tmp_path: Path
) -> None:
    path = disk.path / "ledger.sqlite"
    with Ledger.create(path, {}, MRR) as ledger:
        number = ledger.suggest(stage="s", method="m", values={}, config={}, data_fraction=1.0, seed=0).number
        disk.fill(leave_bytes=1_000_000)

        def write_on() -> None:
            for epoch in range(ledger.trial(number).epoch + 1, 10_000):
                ledger.report(number, epoch, {"valid/mrr": 0.5, "note": epoch, **dict.fromkeys(map(str, range(99)), 1)})

        with pytest.raises(TryAgainError, match=r"cannot be written .*free some space"):
            write_on()
        kept = ledger.trial(number).epoch
        assert kept == len(ledger.reports(number))
        assert integrity(path, tmp_path / "copy") == "ok"
        # The lock was given back: another thread gets the same answer, and does not wait for ever.
        errors: list[BaseException] = []

        def elsewhere() -> None:
            try:
                write_on()
            except TryAgainError as error:
                errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(30)
        assert len(errors) == 1

        disk.free()
        assert ledger.report(number, kept + 1, {"valid/mrr": 0.6})
        print(f"{kept} reports before the disk was full, none lost")
    with Ledger.open(path) as again:
        assert [report.epoch for report in again.reports(number)] == list(range(1, kept + 2))


def test_no_ledger_is_begun_or_opened_without_space(disk: SmallDisk) -> None:
    Ledger.create(disk.path / "old.sqlite", {}, MRR).close()
    disk.fill()
    with pytest.raises(TryAgainError, match="free some space"):
        Ledger.create(disk.path / "new.sqlite", {}, MRR)
    with pytest.raises(TryAgainError, match="free some space"), Ledger.open(disk.path / "old.sqlite") as ledger:
        ledger.note("opened")
    disk.free()
    with Ledger.open(disk.path / "old.sqlite") as ledger:
        ledger.note("opened")


@pytest.mark.parametrize("method", ["rehearsal", "mf"])
def test_a_trial_that_cannot_save_its_checkpoint_waits_and_redoes_that_epoch_alone(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    config = full_config(method, {"epochs": 3})
    order = Order(0, method, config, "toy", {}, 1.0, 0, seed=1, folder=str(disk.path / "checkpoints" / "00000"))

    def run(work: TrialRun, steps: int) -> list[Message]:
        return [work.step() for _ in range(steps)]

    whole = run(TrialRun(json_copy(order, tmp_path / "whole"), WarmCache()), 3)
    work = TrialRun(order, WarmCache())
    first = work.step()
    assert (first.kind, first.epoch) == (Said.REPORT, 1)
    disk.fill()
    stuck = work.step()
    assert stuck.kind is Said.NOT_NOW, stuck.cause
    assert "space" in (stuck.cause or "")
    disk.free()
    restored, second, third = run(TrialRun(order, WarmCache()), 3)
    assert [m.epoch for m in (restored, second, third)] == [1, 2, 3]
    assert [score(m) for m in (restored, second, third)] == [score(m) for m in whole]


def json_copy(order: Order, folder: Path) -> Order:
    """The same order with another folder, as it travels to a worker."""
    return Order.from_json(json.dumps({**json.loads(order.to_json()), "folder": str(folder)}))


def score(message: Message) -> float:
    return message.metrics["valid/mrr"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("leave_bytes", "ballast_bytes"),
    [pytest.param(0, 0, id="nothing fits"), pytest.param(400_000, 800_000, id="checkpoints do not fit")],
)
def test_a_search_on_a_full_disk_ends_with_75_and_goes_on_with_space_again(
    disk: SmallDisk, tmp_path: Path, leave_bytes: int, ballast_bytes: int, whole: Whole
) -> None:
    space = write_space(tmp_path, "side by side", 0.2)
    space.write_text(space.read_text().replace("epochs: 4", f"epochs: 4, ballast_bytes: {ballast_bytes}"))
    assert f"concurrent: {SIDE_BY_SIDE['SLOTS']}" in space.read_text()
    first = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(event_is_there(tmp_path, 15), "event 15", first, 250)
    disk.fill(leave_bytes)
    out, err = first.communicate(timeout=250)

    assert first.returncode == 75, out + err
    assert "space" in err
    assert "Traceback" not in err
    interruptions = [_left(tmp_path, "first")]

    # Nothing has changed but the little that the first run has cleared away.
    again = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert again.returncode == 75, again.stdout + again.stderr
    interruptions.append(_left(tmp_path, "second"))

    disk.free()
    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    for before in interruptions:
        check_nothing_lost(before, after)
    redone = check_redone(tmp_path, interruptions)
    print(f"{sum(redone.values())} epochs redone")
    check_mlflow(tmp_path, "space", after)
    assert outcome(after) == whole("side by side")


def _left(folder: Path, run: str) -> list[TrialRecord]:
    """The trials in the ledger that a run has left, which must be whole."""
    assert integrity(ledger_path(folder), folder / run) == "ok"
    with Ledger.read(folder / run / "ledger.sqlite") as ledger:
        trials = ledger.trials()
    print(f"{run} exit with 75: {len(trials)} trials, {sum(not trial.state.final for trial in trials)} of them open")
    return trials
