"""What workers are told, and what is written down of what they say; without any worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.contract import TestPermit
from searchplat.engine.promotion_runs.messages import Assignment, Ended, Epoch, MayTest, Measured, Next
from searchplat.engine.worker.messages import Said
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger import Ledger
from searchplat.promotion.candidates import Candidate, Sizes
from searchplat.promotion.drive import Drive
from searchplat.promotion.record import FINAL, RACE, Promotion, PromotionStore
from searchplat.spec.model import Objective

SIZES = Sizes(top=2, race=3, seeds=2, epochs=9, patience=2, data_fraction=1.0)
PLANNED = Promotion(
    search="s", number=0, data="toy", data_options={}, data_fingerprint="f", num_users=0, metrics=("mrr",),
    search_scores={}, lineage={}, test_openings=0, runs=(),
)  # fmt: skip


def candidate(name: str, control: str | None = None) -> Candidate:
    return Candidate(name, 1, control, "rehearsal", {"x": 0.5, "epochs": 2}, 0.5, 0.3)


CANDIDATES = [candidate("good"), candidate("bad"), candidate("default", "default")]
Make = Callable[..., Drive]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PromotionStore]:
    with Ledger.create(tmp_path / "s" / "ledger.sqlite", {}, [Objective("valid/mrr", maximize=True)]) as ledger:
        store = PromotionStore(ledger, tmp_path / "s")
        store.create(PLANNED, {})
        yield store


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(store: PromotionStore, tmp_path: Path, said: list[str]) -> Make:
    def make(objectives: tuple[Objective, ...] = (Objective("valid/mrr", True),), **sizes: Any) -> Drive:
        spec = replace(one_stage(rehearsal_spec(), trials=1), objectives=objectives)
        chosen = replace(SIZES, **sizes)
        config = lambda c: {**c.config, "epochs": chosen.epochs}  # noqa: E731
        drive = Drive(store, 1, spec, tmp_path / "s", CANDIDATES, chosen, config, said.append)
        drive.begin()
        return drive

    return make


def ask(drive: Drive, lane: int = 0) -> Any:
    return drive.answer(lane, Next())


def race(drive: Drive, work: Assignment, score: float, epochs: int = 2) -> None:
    for epoch in range(1, epochs + 1):
        metrics = {"valid/mrr": score - 0.1 * (epochs - epoch), "time/train_seconds": 1.0}
        drive.answer(0, Epoch(work.key, epoch, metrics, done=epoch == epochs))


def final(drive: Drive, work: Assignment, score: float) -> None:
    metrics = {"valid/mrr": score, "time/train_seconds": 1.0, "memory/peak_bytes": 7.0}
    drive.answer(0, Epoch(work.key, 1, metrics, best=metrics, best_epoch=1))
    assert isinstance(drive.answer(0, MayTest(work.key)), TestPermit)
    drive.answer(0, Measured(work.key, {"mrr": score}, work.order.folder + "/ranks.npy", 60, 5, "f"))


def test_wrong_input_ends_the_promotion_and_leaves_its_runs_open(make: Make, store: PromotionStore) -> None:
    drive = make()
    work = ask(drive)
    with pytest.raises(InputError, match="no tokenizer; fetch it"):
        drive.answer(0, Ended(work.key, Said.WRONG_INPUT, "no tokenizer; fetch it", ("backbone",)))
    assert "failed" not in {run.state for run in store.load(1).runs}


def test_a_host_that_cannot_train_it_now_ends_the_promotion_and_leaves_its_runs_open(
    make: Make, store: PromotionStore
) -> None:
    drive = make()
    work = ask(drive)
    with pytest.raises(TryAgainError, match="no package of that method here") as raised:
        drive.answer(0, Ended(work.key, Said.NOT_NOW, "no package of that method here"))
    assert raised.value.exit_code == 75
    assert "failed" not in {run.state for run in store.load(1).runs}
    assert isinstance(ask(make()), Assignment), "the same command takes it up again"


def test_a_candidate_whose_values_do_not_fit_is_out_and_the_others_go_on(make: Make, store: PromotionStore) -> None:
    drive = make()
    work = ask(drive)
    drive.answer(0, Ended(work.key, Said.WRONG_INPUT, "x: too much", ("x",)))  # x is searched
    failed = [run for run in store.load(1).runs if run.state == "failed"]
    assert [(run.key, run.cause) for run in failed] == [(work.key, "wrong input: x: too much")]
    assert isinstance(ask(drive), Assignment)


def play(drive: Drive, scores: dict[str, float], stop_after: int = 1000) -> list[tuple[str, str]]:
    """Do what is asked for with one worker; return phases and candidates in order."""
    done: list[tuple[str, str]] = []
    while len(done) < stop_after and (work := ask(drive)) != "stop":
        assert isinstance(work, Assignment)
        (final if work.final else race)(drive, work, scores[work.key[1]])
        done.append(work.key[:2])
    return done


def test_a_worker_that_cannot_go_on_now_has_not_failed(make: Make, store: PromotionStore) -> None:
    drive = make(race=1)
    work = ask(drive)
    with pytest.raises(TryAgainError, match="the storage is away"):
        drive.answer(0, Ended(work.key, Said.NOT_NOW, "the storage is away"))
    again = make(race=1)
    assert ask(again).key == work.key


SCORES = {"good": 0.9, "bad": 0.2, "default": 0.1}


def test_a_candidate_that_is_ahead_in_another_objective_stays_in_the_race(make: Make, store: PromotionStore) -> None:
    drive = make((Objective("valid/mrr", True), Objective("valid/loss", False)))
    losses = {"good": 5.0, "bad": 1.0, "default": 1.0}
    raced = []
    while not (work := ask(drive)).final:
        name = work.key[1]
        metrics = {"valid/mrr": SCORES[name], "valid/loss": losses[name], "time/train_seconds": 1.0}
        drive.answer(0, Epoch(work.key, 1, metrics, done=True))
        raced.append(name)
    assert raced == [*SCORES] * 3  # by the first objective alone, "bad" stops after two seeds
    assert {run.candidate for run in store.load(1).runs if run.phase == FINAL} == {*SCORES}


def test_a_race_seed_by_seed_then_final_training_without_the_loser(
    make: Make, store: PromotionStore, said: list[str]
) -> None:
    done = play(make(), SCORES)
    level = [(RACE, name) for name in SCORES]
    # Controls go along to the end, at the same cost; "bad" is stopped after two seeds.
    assert done[:8] == [*level, *level, (RACE, "good"), (RACE, "default")]
    assert done[8:] == [(FINAL, "good"), (FINAL, "default")] * 2
    assert "race   bad can no longer win and stops" in said
    promotion = store.load()
    assert [run.state for run in promotion.runs if run.candidate == "bad"] == ["finished", "finished", "stopped"]
    assert promotion.test_openings == 4
    assert promotion.num_users == 60
    winner = promotion.winner()
    assert winner is not None
    assert (winner.candidate, winner.test, winner.peak_bytes, winner.parameters) == ("good", {"mrr": 0.9}, 7.0, 5)
    assert len({run.seed for run in promotion.runs if run.phase == FINAL}) == 2
    assert not {run.seed for run in promotion.runs if run.phase == FINAL} & {
        run.seed for run in promotion.runs if run.phase == RACE
    }


def test_race_and_final_differ_in_epochs_data_and_test(make: Make) -> None:
    drive = make(race=1)
    first = ask(drive)
    assert (first.final, first.order.config["epochs"], first.order.data_fraction) == (False, 2, 0.3)
    race(drive, first, 0.5)
    play(drive, SCORES, stop_after=2)
    last = ask(drive)
    assert (last.final, last.order.config["epochs"], last.order.data_fraction) == (True, 9, 1.0)
    assert (last.objective, last.maximize, last.patience, last.test) == ("valid/mrr", True, 2, ("mrr",))


def test_without_a_race_final_training_begins_at_once(make: Make) -> None:
    assert play(make(race=0), SCORES) == [(FINAL, name) for name in SCORES] * 2


def test_lanes_wait_for_a_race_and_leave_when_only_finals_run(make: Make) -> None:
    drive = make(race=1, seeds=1)
    racing = [ask(drive, lane) for lane in range(3)]
    assert ask(drive, 3) == "wait"
    for work in racing:
        race(drive, work, 0.5)
    finals = [ask(drive, lane) for lane in range(3)]
    assert all(work.final for work in finals)
    assert ask(drive, 3) == "stop"


def test_a_driver_that_takes_over_redoes_nothing_that_has_ended(make: Make, store: PromotionStore) -> None:
    play(make(race=1), SCORES, stop_after=4)
    killed_in = ask(make(race=1))
    before = store.load().runs
    again = make(race=1)
    assert again.waiting == 5
    assert play(again, SCORES) == [(FINAL, name) for name in ("bad", "default", "good", "bad", "default")]
    assert killed_in.key[:2] == (FINAL, "bad")
    after = store.load().runs
    for old, new in zip(before, after, strict=True):
        assert old.key == new.key
        if old.state == "finished":
            assert old == new


def test_an_epoch_that_is_told_twice_counts_once(make: Make, store: PromotionStore) -> None:
    drive = make()
    work = ask(drive)
    for value in (0.5, 0.7):
        drive.answer(0, Epoch(work.key, 1, {"valid/mrr": value, "time/train_seconds": 2.0}))
    run = store.load().runs[0]
    assert (run.epochs, run.seconds, run.valid, run.best_epoch) == (1, 2.0, {"mrr": 0.5}, 1)


def test_a_run_whose_worker_dies_is_handed_out_again_and_at_last_given_up(
    make: Make, store: PromotionStore, said: list[str]
) -> None:
    drive = make()
    first = ask(drive)
    for _ in range(3):
        assert ask(drive).key == first.key
    assert ask(drive).key != first.key
    run = store.load().runs[0]
    assert (run.state, run.cause) == ("failed", "its worker died 4 times")
    assert sum("its worker died; it goes on from its last checkpoint" in line for line in said) == 3


def fail(drive: Drive, work: Assignment) -> None:
    drive.answer(0, Ended(work.key, Said.BUG, "a long\nstory"))


def test_what_failed_in_every_race_is_not_trained(make: Make) -> None:
    drive = make(race=1)
    fail(drive, ask(drive))
    assert play(drive, SCORES) == [(RACE, "bad"), (RACE, "default"), *[(FINAL, "bad"), (FINAL, "default")] * 2]
    assert make(race=1).waiting == 0


def test_what_failed_is_tried_again_by_the_next_command(make: Make, store: PromotionStore, said: list[str]) -> None:
    drive = make(race=0)
    work = ask(drive)
    fail(drive, work)
    fail(drive, work)  # its other worker says so too
    assert [line for line in said if "failed" in line] == ["final  1/6  good, seed 1 of 2: failed, story"]
    assert store.load().runs[0].cause == "a long\nstory"
    assert ask(make(race=0)).key == work.key
    assert store.load().runs[0].cause is None


def test_the_test_split_is_not_opened_for_a_race(make: Make) -> None:
    drive = make()
    work = ask(drive)
    with pytest.raises(ValueError, match="opened for final runs"):
        drive.answer(0, MayTest(work.key))
