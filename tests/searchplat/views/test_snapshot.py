"""What counts, what compares, how long it will take."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import CONTROLS
from searchplat.views.snapshot import take, wall_seconds

Search = tuple[SearchFolder, Ledger]


def test_the_best_trial_is_of_the_last_stage_that_has_a_score(half_done: Search) -> None:
    folder, ledger = half_done
    snapshot = take("first", folder.path, ledger)
    assert snapshot.best is not None
    # Trial 9 scored 0.47, but on a fifth of the users.
    assert (snapshot.best.number, snapshot.ranking.of_stage("layout")[0].number) == (11, 9)
    assert [trial.number for trial in snapshot.ranking.comparable] == [11, 10, 13]
    assert [control.control for control in snapshot.controls] == ["default", "all-serial"]


def test_stages_and_states_add_up(half_done: Search) -> None:
    folder, ledger = half_done
    snapshot = take("first", folder.path, ledger)
    assert [(s.name, s.ended, s.planned, s.running) for s in snapshot.stages] == [
        ("controls", 2, 2, 0), ("layout", 8, 8, 0), ("weights", 4, 6, 1),
    ]  # fmt: skip
    assert (snapshot.ended, snapshot.planned, snapshot.open) == (14, 16, 1)
    assert sum(snapshot.states.values()) == 15


def test_the_number_of_trials_given_at_the_start_counts(half_done: Search) -> None:
    folder, ledger = half_done
    ledger.set_meta("trials", "20")
    assert take("first", folder.path, ledger).planned == 22
    ledger.set_meta("exhausted:weights", "1")
    assert take("first", folder.path, ledger).planned == 15


def test_the_estimate_grows_with_the_share_of_the_users(half_done: Search) -> None:
    folder, ledger = half_done
    snapshot = take("first", folder.path, ledger)
    # 2 trials of `weights` are left at (5 + 5 + 0 + 2.5)/3 s each; the running one has used 2.5 s of that.
    left = 2 * (12.5 / 3 + 0.3) - 2.5
    assert snapshot.seconds_left(1) == pytest.approx(left)
    assert snapshot.seconds_left(2) == pytest.approx(left / 2)


def test_there_is_no_estimate_before_the_first_trial_has_ended(empty: Search) -> None:
    folder, ledger = empty
    assert take("first", folder.path, ledger).seconds_left(2) is None


def test_the_newest_trials_are_the_running_ones_and_the_last_that_ended(half_done: Search) -> None:
    folder, ledger = half_done
    snapshot = take("first", folder.path, ledger)
    assert [trial.number for trial in snapshot.recent(3)] == [12, 13, 14]
    assert snapshot.recent(0) == []
    assert snapshot.recent(1)[0].state is TrialState.RUNNING


def test_time_between_drivers_is_not_work(empty: Search, tmp_path: Path) -> None:
    _, ledger = empty
    ledger.note("closed")
    ledger.note("opened")  # this driver is killed after its last event
    ledger.note("extended")
    ledger.note("opened")
    ledger.note("closed")
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as file, file:
        for seq, at in enumerate((100, 110, 1000, 1005, 2000, 2001), start=1):
            file.execute("UPDATE events SET at = ? WHERE seq = ?", (at, seq))
    with Ledger.read(ledger.path) as again:
        assert wall_seconds(again) == 10 + 5 + 1


def test_a_control_of_another_method_tells_nothing_of_the_time_left(empty: Search) -> None:
    folder, ledger = empty
    trial = ledger.suggest(
        stage=CONTROLS, control="quick", method="popularity", values={}, config={}, data_fraction=1.0, seed=1
    )
    ledger.start(trial.number)
    ledger.report(trial.number, 1, {"valid/mrr": 0.1, "time/train_seconds": 0.2})
    ledger.end(trial.number, TrialState.FINISHED)
    assert take("first", folder.path, ledger).seconds_left(2) is None
