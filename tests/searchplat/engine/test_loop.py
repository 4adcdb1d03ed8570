"""The loop on a real Ray: workers that die cost an epoch and nothing else, idle ones go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.cluster.pool import Pool
from searchplat.engine.loop import Loop, _Running
from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.worker.order import Order
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Resources, SchedulerSpec, SearchSpec

EPOCHS = 4


def spec_of(fault: str, trials: int) -> SearchSpec:
    """In one slot, so that the order of reports, on which ASHA depends, is given."""
    fixed = {"epochs": EPOCHS, "fault": fault, "noise": 0.05}
    base = rehearsal_spec(
        fixed,
        scheduler=SchedulerSpec("asha", grace=1, reduction=2),
        resources=Resources(cpu=1, gpu=0, concurrent=1),
    )
    return one_stage(base, trials)


def trials_of(spec: SearchSpec, folder: Path, name: str) -> list[TrialRecord]:
    outcome = run_search(spec, name=name, places=Places(runs=folder, tracking_uri=f"sqlite:///{folder}/mlflow.db"))
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        return ledger.trials()


@pytest.mark.slow
def test_workers_that_die_once_under_every_trial_change_nothing_of_the_search(tmp_path: Path) -> None:
    trials = trials_of(spec_of("kill-once", trials=4), tmp_path, "killed")
    assert len(trials) == 4
    reached = {trial.number for trial in trials if trial.epoch >= 2}  # where it is killed
    assert {trial.number: trial.retries for trial in trials} == {t.number: int(t.number in reached) for t in trials}
    assert {trial.state for trial in trials} == {TrialState.FINISHED, TrialState.STOPPED}


@pytest.mark.by_hand
@pytest.mark.slow  # processes start again and again
def test_a_trial_whose_workers_always_die_fails_and_the_search_goes_on(tmp_path: Path) -> None:
    spec = spec_of("kill", trials=4)
    spec = replace(spec, fixed={**spec.fixed, "fault_above": 0.5, "epochs": 2})
    spec = replace(spec, stages=(replace(spec.stages[0], scheduler=SchedulerSpec()),))
    trials = trials_of(spec, tmp_path, "killed")
    for trial in trials:
        if trial.values["x"] > 0.5:
            assert (trial.state, trial.retries) == (TrialState.FAILED, 3)
            assert trial.cause == "its workers died more often than is retried"
        else:
            assert (trial.state, trial.retries) == (TrialState.FINISHED, 0)
    assert {trial.state for trial in trials} == {TrialState.FINISHED, TrialState.FAILED}


class Process:
    """A worker that does nothing but write down its end."""

    reusable = True

    def __init__(self, name: str) -> None:
        self.name, self.held, self.killed = name, (("cpu", 1.0),), False

    def greet(self) -> str:
        return f"{self.name} greets"

    def kill(self) -> None:
        self.killed = True


@pytest.mark.parametrize(("patience_s", "handed_over"), [(0.0, True), (300.0, False)])
def test_an_idle_process_takes_the_trial_of_one_that_finds_no_room(patience_s: float, handed_over: bool) -> None:
    pool = Pool(None)
    idle, starting, training = Process("idle"), Process("starting"), Process("training")
    pool.give_back(cast(Any, idle))
    plan = cast(Any, SimpleNamespace(ledger=None))
    loop = Loop(
        plan, cast(Any, None), pool, order_of=cast(Any, None), slots=lambda: 2, remove_checkpoints=lambda trial: None,
        steering=cast(Any, None), on_round=lambda: None, shutdown=Shutdown(), max_deaths=3,
    )  # fmt: skip
    order = Order(7, "rehearsal", {}, "toy", {}, 1.0, 0, 1, "s/checkpoints/00007", request={"cpu": 1.0})
    running = cast(dict[Any, _Running], loop._running)
    running["a"] = _Running(7, order, cast(Any, starting), new=True)
    running["b"] = _Running(8, order, cast(Any, training), new=True, answered=True)
    loop._hand_over(patience_s)
    assert starting.killed == handed_over
    assert not training.killed
    assert ("idle greets" in running) == handed_over
    assert {one.trial for one in running.values()} == {7, 8}
