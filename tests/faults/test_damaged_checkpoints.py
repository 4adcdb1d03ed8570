"""Checkpoints cut, altered or gone between two runs of a search: the trial falls back on the one before."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from interruptions import command, environment, ledger_path, trials_of, wait_until

from searchplat.contract import WarmCache
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.worker.messages import Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.ledger import Ledger
from trials.training.checkpoints import newest_valid


def cut(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def flip_a_bit(checkpoint: Path) -> None:
    file = checkpoint / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 16
    file.write_bytes(data)


def lose_a_file(checkpoint: Path) -> None:
    (checkpoint / "state.json").unlink()


DAMAGES = [cut, flip_a_bit, lose_a_file]
EPOCHS = 4


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_worker_goes_on_from_the_checkpoint_before_with_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))

    def order(folder: str) -> Order:
        config = full_config("mf", {"epochs": EPOCHS})
        return Order(0, "mf", config, "toy", {}, 1.0, 0, seed=3, folder=str(tmp_path / folder))

    whole = TrialRun(order("whole"), WarmCache())
    values = [whole.step().metrics["valid/mrr"] for _ in range(EPOCHS)]
    first = TrialRun(order("damaged"), WarmCache())
    for _ in range(3):
        first.step()
    damage(tmp_path / "damaged" / "epoch-0003")
    again = TrialRun(order("damaged"), WarmCache())
    reports = [again.step() for _ in range(3)]
    assert [(m.kind, m.epoch) for m in reports] == [(Said.REPORT, 2), (Said.REPORT, 3), (Said.REPORT, 4)]
    assert [m.metrics["valid/mrr"] for m in reports] == values[1:]


SPACE = f"""
method: mf
data: {{name: toy}}
objective: {{metric: valid/mrr, direction: maximize}}
fixed: {{epochs: {EPOCHS}, batch_size: 8}}
search: {{width: {{type: categorical, choices: [8, 16, 32]}}}}
searcher: {{name: grid}}
trials: 3
resources: {{cpu: 1, gpu: 0, concurrent: 1}}
"""


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_whose_checkpoints_are_damaged_while_it_is_away_loses_no_trial(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    # Each run of the driver dies in another trial, with two epochs of it reported.
    reports = 0
    for damage in DAMAGES:
        died = subprocess.run(
            command(faulty=True), env=environment(DIE="report 3"), capture_output=True, text=True, timeout=250
        )
        assert died.returncode == -9, died.stdout + died.stderr
        open_trial = next(trial for trial in trials_of(tmp_path) if not trial.state.final)
        folder = tmp_path / "runs" / "space" / "checkpoints" / f"{open_trial.number:05d}"
        wait_until(lambda: newest_valid(folder) is not None, "a checkpoint", None, 10)  # noqa: B023
        newest = newest_valid(folder)
        assert newest is not None
        damage(newest)
        left = newest_valid(folder)
        print(f"{damage.__name__} of {newest.name} of trial {open_trial.number}; left: {left and left.name}")
        with Ledger.read(ledger_path(tmp_path)) as ledger:
            assert len(ledger.reports()) > reports
            reports = len(ledger.reports())
    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    assert [(trial.state, trial.epoch) for trial in after] == [("finished", EPOCHS)] * 3
    values = [trial.objectives for trial in after]

    shutil.rmtree(tmp_path / "runs")
    whole = subprocess.run(command("--name", "whole"), capture_output=True, text=True, timeout=250)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    with Ledger.read(tmp_path / "runs" / "whole" / "ledger.sqlite") as ledger:
        assert [trial.objectives for trial in ledger.trials()] == values
