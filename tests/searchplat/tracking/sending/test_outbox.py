"""What a stretch of events changes; no MLflow needed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.tracking.sending.outbox import Batch, Progress, gather

Train = Callable[..., int]


def batch_of(ledger: Ledger, after: int = 0) -> Batch:
    return gather(ledger, ledger.events(after=after), Progress(ledger, after))


def test_times_and_steps_come_from_the_ledger_so_that_asking_again_gives_the_same(ledger: Ledger, train: Train) -> None:
    train(0.5)
    batch, again = batch_of(ledger), batch_of(ledger)
    assert batch == again
    at_ms = {event.seq: round(event.at * 1000) for event in ledger.events()}
    reports = {report.epoch: at_ms[report.seq] for report in ledger.reports(0)}
    points = [point for point in batch.trials[0].metrics if point.key == "valid/mrr"]
    assert [(point.step, point.value, point.at_ms) for point in points] == [(1, 0.25, reports[1]), (2, 0.5, reports[2])]
    assert batch.last_seq == ledger.seq
    assert batch.trials[0].created
    assert batch.trials[0].status == "FINISHED"
    assert batch.trials[0].ended_ms == at_ms[ledger.seq]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (TrialState.FINISHED, "FINISHED"),
        (TrialState.STOPPED, "FINISHED"),
        (TrialState.FAILED, "FAILED"),
        (TrialState.DIVERGED, "FAILED"),
        (TrialState.INFEASIBLE, "FAILED"),
        (TrialState.TIMEOUT, "FAILED"),
    ],
)
def test_every_outcome_has_a_status(ledger: Ledger, train: Train, state: TrialState, status: str) -> None:
    number = train(0.5, state)
    change = batch_of(ledger).trials[number]
    assert (change.status, change.tags["searchplat.state"]) == (status, state.value)
    assert ("best/valid/mrr" in {point.key for point in change.metrics}) == (status == "FINISHED")


@pytest.mark.parametrize(("state", "status"), [("done", "FINISHED"), ("interrupted", "KILLED"), ("failed", "FAILED")])
def test_closing_ends_the_parent_and_every_open_trial(
    ledger: Ledger, suggest: Train, train: Train, state: str, status: str
) -> None:
    done, waiting, running = train(0.5), suggest(), suggest()
    ledger.start(running)
    seq = ledger.note("closed", {"state": state, "message": "why"})
    batch = batch_of(ledger)
    assert batch.search.status == status
    assert batch.search.tags.get("searchplat.cause") == (None if state == "done" else "why")
    assert {number: change.status for number, change in batch.trials.items()} == {
        done: "FINISHED", waiting: "KILLED", running: "KILLED",
    }  # fmt: skip
    # Opened again, all that was open at that moment runs again, whatever has become of it since.
    opened = ledger.note("opened", {})
    ledger.end(running, TrialState.FINISHED)
    batch = gather(ledger, ledger.events(after=seq, limit=1), Progress(ledger, seq))
    assert batch.last_seq == opened
    assert batch.search.status == "RUNNING"
    assert {number: change.status for number, change in batch.trials.items()} == {
        waiting: "RUNNING", running: "RUNNING",
    }  # fmt: skip


def test_progress_is_the_same_wherever_it_is_taken_up(ledger: Ledger, train: Train) -> None:
    for value in (0.3, 0.2, 0.6, 0.6, 0.1):
        train(value)
    train(0.9, stage="controls", control="default")
    train(0.8, TrialState.FAILED)
    whole = Progress(ledger, 0)
    gather(ledger, ledger.events(), whole)
    assert (whole.ended, whole.best) == (7, (0.6, 0.6))
    for seq in range(0, ledger.seq, 5):
        rest = Progress(ledger, seq)
        gather(ledger, ledger.events(after=seq), rest)
        assert (rest.ended, rest.best) == (whole.ended, whole.best)


def test_a_failed_attempt_does_not_count_twice(ledger: Ledger, train: Train) -> None:
    train(0.5)
    progress = Progress(ledger, 0)
    first = gather(ledger, ledger.events(), copy.copy(progress))
    assert gather(ledger, ledger.events(), copy.copy(progress)) == first
    assert progress.ended == 0


def test_a_retried_trial_says_why(ledger: Ledger, suggest: Train) -> None:
    number = suggest()
    ledger.start(number)
    ledger.retry(number, "worker died at https://ann:pa55@host")
    tags = batch_of(ledger).trials[number].tags
    assert tags["searchplat.retries"] == "1"
    assert tags["searchplat.cause"] == "worker died at https://***@host"
