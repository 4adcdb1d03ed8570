"""A ledger of 10,000 trials: what a resumed search does before it hands out its first trial takes at most 5 s."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.judging.judge import Judge
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.plan import Plan, SuggestionDue
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import SchedulerSpec, SearchSpec
from searchplat.tracking.sending.outbox import Progress

TRIALS = 10_000
EPOCHS = 9
PATTERN = 100
"""Trials written one by one; the rest are copies of them, with values of their own."""


def long_ledger(path: Path, spec: SearchSpec) -> None:
    rng = random.Random(0)
    with Ledger.create(path, to_document(spec), spec.objectives) as ledger:
        for index in range(PATTERN):
            number = ledger.suggest(
                stage="search", method="rehearsal", values={"x": rng.random()},
                config=full_config("rehearsal", {"epochs": EPOCHS}), data_fraction=1.0, seed=index,
            ).number  # fmt: skip
            ledger.start(number)
            epochs = EPOCHS if index < 11 else 3 if index < 33 else 1  # as ASHA with reduction 3 leaves them
            for epoch in range(1, epochs + 1):
                names = ("valid/mrr", "valid/ndcg@10", "train/loss", "time/train_seconds", "time/evaluate_seconds")
                ledger.report(number, epoch, {name: rng.random() for name in names})
            ledger.end(number, TrialState.FINISHED if epochs == EPOCHS else TrialState.STOPPED)
        seq = ledger.seq
        same = "stage, control, method, assigned, config, data_fraction, seed, info, based_on"
        with ledger.transaction() as connection:
            for copy in range(1, TRIALS // PATTERN):
                trials, seqs = copy * PATTERN, copy * seq
                connection.execute(
                    "INSERT INTO events SELECT seq + ?, at, kind, trial + ?, payload FROM events WHERE seq <= ?",
                    (seqs, trials, seq),
                )
                connection.execute(
                    "INSERT INTO reports SELECT trial + ?, epoch, seq + ?, json_set(metrics, '$.\"valid/mrr\"',"
                    " abs(random() % 1000000) / 1e6) FROM reports WHERE trial < ?",
                    (trials, seqs, PATTERN),
                )
                connection.execute(
                    f"INSERT INTO trials (number, {same}, suggested_at, state, cause, retries, ended_at, epoch,"
                    f" seconds, best_epoch, objectives) SELECT number + ?, {same}, suggested_at + ?, state, cause,"
                    " retries, ended_at + ?, epoch, seconds, best_epoch, objectives FROM trials WHERE number < ?",
                    (trials, seqs, seqs, PATTERN),
                )


@pytest.mark.by_hand
@pytest.mark.parametrize("scheduler", ["asha", pytest.param("median", marks=pytest.mark.slow)])
def test_ten_thousand_trials_are_read_and_replayed_in_five_seconds(tmp_path: Path, scheduler: str) -> None:
    base = rehearsal_spec({"epochs": EPOCHS}, scheduler=SchedulerSpec(scheduler, grace=1, reduction=3))
    spec = one_stage(base, TRIALS + 1, "tpe")
    path = tmp_path / "ledger.sqlite"
    long_ledger(path, spec)

    # The processor's time: what a busy machine does besides is not the ledger's.
    begun, cpu = time.perf_counter(), time.process_time()
    with Ledger.open(path) as ledger:
        assert ledger.document() == to_document(spec)
        plan = Plan(spec, ledger)
        judge = Judge(spec, ledger, {"search": EPOCHS}, lambda trial: None, lambda trial: None, Shutdown())
        judge.replay(lambda trial: EPOCHS)
        Progress(ledger, ledger.cursor("mlflow"))
        turn = plan.next()
        taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
        assert isinstance(turn, SuggestionDue)
        assert len(ledger.trials()) == TRIALS
        reports = len(ledger.reports())
    print(f"{scheduler}: {TRIALS} trials, {reports} reports: {taken:.2f} s, {cpu:.2f} s of one processor")
    assert cpu <= 5
