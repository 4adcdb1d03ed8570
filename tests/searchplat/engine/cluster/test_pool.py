"""Processes of trials: who is kept, for whom, and what Ray's dashboard calls them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.cluster.pool import Pool, WorkerGroup, name_of
from searchplat.engine.cluster.trial_process import Trial
from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.engine.worker.order import Order
from searchplat.ledger import Ledger
from searchplat.spec.model import Resources, SearcherSpec

TRIALS, SLOTS = 64, 4


class Remote:
    """An actor's handle, which writes down when it was asked to leave."""

    def __init__(self, ended: list[float], cpu: float) -> None:
        self.close = SimpleNamespace(remote=lambda: ended.append(cpu))


def order(cpu: float) -> Order:
    return Order(7, "rehearsal", {}, "toy", {}, 1.0, 0, 1, "darec-quick/checkpoints/00007", request={"cpu": cpu})


@pytest.fixture
def ended() -> list[float]:
    return []


@pytest.fixture
def pool(ended: list[float]) -> Pool:
    def start(order: Order) -> Any:
        return Remote(ended, order.request["cpu"])

    return Pool(None, start)


def test_a_process_whose_trial_ends_is_kept_for_the_next(pool: Pool, ended: list[float]) -> None:
    first, new = pool.take(order(1.0))
    assert new
    pool.give_back(first)
    pool.trim_idle(1)
    assert pool.take(order(1.0)) == (first, False)
    assert ended == []


def test_beyond_what_may_be_kept_processes_end(pool: Pool, ended: list[float]) -> None:
    workers: list[WorkerGroup] = [pool.take(order(1.0))[0] for _ in range(3)]
    for worker in workers:
        pool.give_back(worker)
    pool.trim_idle(1)
    assert ended == [1.0, 1.0]
    pool.trim_idle(0)
    assert ended == [1.0, 1.0, 1.0]


def test_nothing_is_kept_from_a_trial_that_holds_something_else(pool: Pool, ended: list[float]) -> None:
    small, _ = pool.take(order(0.5))
    pool.give_back(small)
    large, new = pool.take(order(1.0))
    assert new
    assert ended == [0.5]
    pool.give_back(large)
    assert pool.take(order(1.0)) == (large, False)


def test_a_process_is_named_after_its_search_and_its_first_trial(tmp_path: Path) -> None:
    first = replace(order(1.0), folder=str(tmp_path / "darec-quick" / "checkpoints" / "00007"))
    trial = Trial.__new__(Trial)
    trial._name = name_of(first)
    assert repr(trial) == "darec-quick, from trial 7 on"


@pytest.mark.slow  # four workers of Ray start on whatever cores there are
def test_no_process_is_lost_and_suggestions_are_made_ahead(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    spec = rehearsal_spec(
        {"epochs": 1, "seconds": 1.0, "diary": str(diary)}, resources=Resources(cpu=0.25, gpu=0, concurrent=SLOTS)
    )
    spec = one_stage(spec, TRIALS)
    slow = SearcherSpec("pr", {"startup": 6, "restarts": 16, "samples": 64, "steps": 80})
    spec = replace(spec, stages=(replace(spec.stages[0], searcher=slow),))
    outcome = run_search(
        spec, name="warm", places=Places(runs=tmp_path, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    )
    assert outcome.exit_code == 0, outcome.message

    rows = [line.split() for line in diary.read_text().splitlines()]
    assert sorted(int(number) for number, *_ in rows) == list(range(TRIALS))
    assert len({process for _, _, process, _ in rows}) == SLOTS
    with Ledger.read(outcome.ledger_path) as ledger:
        ends = {t.number: t.ended_at or 0 for t in ledger.trials()}
        # Made ahead, a suggestion is begun while all slots are busy.
        busy = [
            sum(other.number < t.number and ends[other.number] > t.based_on for other in ledger.trials())
            for t in ledger.trials()
        ]
        routes = {t.info.get("route") for t in ledger.trials()}
    assert max(busy) >= SLOTS
    assert "batch" in routes
