"""Processes go on from trial to trial, also where several end at once and suggestions take longer than trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.search import run_search
from searchplat.engine.warm import IdleProcesses
from searchplat.ledger import Ledger
from searchplat.spec.model import Resources, SearcherSpec

TRIALS, SLOTS = 64, 4


def test_a_process_whose_trial_ends_is_kept_for_the_slot_that_is_free_by_then() -> None:
    room = 0
    idle = IdleProcesses()
    controller = SimpleNamespace(_staged_trials=(), _pending_trials=())
    idle.update(SimpleNamespace(_tune_controller=controller), keep=lambda: room, reserve=False)
    room = 1  # the trial ended
    idle.cache_object("kind", "process")
    assert list(idle.flush_cached_objects()) == []
    room = 0  # its part of the cluster is another search's now
    assert list(idle.flush_cached_objects()) == ["process"]


@pytest.mark.slow  # four workers of Ray start on whatever cores there are
def test_no_process_is_lost_and_suggestions_are_made_ahead(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    spec = rehearsal_spec(
        {"epochs": 1, "seconds": 1.0, "diary": str(diary)}, resources=Resources(cpu=0.25, gpu=0, concurrent=SLOTS)
    )
    spec = one_stage(spec, TRIALS)
    slow = SearcherSpec("pr", {"startup": 6, "restarts": 16, "samples": 64, "steps": 80})
    spec = replace(spec, stages=(replace(spec.stages[0], searcher=slow),))
    outcome = run_search(spec, name="warm", runs=tmp_path, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
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
