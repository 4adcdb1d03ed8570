"""The ledger on real files: order, durability, duplicates, readers beside the writer."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective

MRR = Objective("valid/mrr", maximize=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "ledger.sqlite", {"method": "toy"}, [MRR]) as opened:
        yield opened


def suggest(ledger: Ledger, stage: str = "layout", **changes: object) -> TrialRecord:
    fields = {
        "stage": stage,
        "method": "toy",
        "values": {"x": 1},
        "config": {"x": 1, "y": "two"},
        "data_fraction": 0.5,
        "seed": 7,
        "based_on": ledger.seq,
    }
    return ledger.suggest(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_trial_survives_closing_and_opening_unchanged(ledger: Ledger) -> None:
    trial = suggest(ledger, info={"route": "random", "seconds": 0.1})
    ledger.start(trial.number)
    ledger.report(trial.number, 1, {"valid/mrr": 0.25, "time/train_seconds": 2.0})
    ledger.end(trial.number, TrialState.FINISHED)
    before = ledger.trials()
    ledger.close()
    with Ledger.open(ledger.path) as again:
        assert again.trials() == before
        assert before[0].objectives == (0.25,)
        assert before[0].seconds == 2.0
        assert again.document() == {"method": "toy"}


def test_numbers_and_sequence_numbers_follow_the_order_of_writing(ledger: Ledger) -> None:
    first, second = suggest(ledger), suggest(ledger)
    assert (first.number, second.number) == (0, 1)
    assert first.suggested_at < second.suggested_at
    assert [event.seq for event in ledger.events()] == sorted(event.seq for event in ledger.events())


def test_an_epoch_reported_twice_is_written_once(ledger: Ledger) -> None:
    trial = suggest(ledger)
    assert ledger.report(trial.number, 1, {"valid/mrr": 0.1})
    seq = ledger.seq
    assert not ledger.report(trial.number, 1, {"valid/mrr": 0.9})
    assert ledger.seq == seq
    assert ledger.trial(trial.number).objectives == (0.1,)


def test_the_best_epoch_counts_and_non_finite_values_never_do(ledger: Ledger) -> None:
    trial = suggest(ledger)
    for epoch, value in enumerate([0.1, 0.3, math.inf, math.nan, 0.2], start=1):
        ledger.report(trial.number, epoch, {"valid/mrr": value})
    record = ledger.trial(trial.number)
    assert (record.best_epoch, record.objectives) == (2, (0.3,))
    values = [report.metrics["valid/mrr"] for report in ledger.reports(trial.number)]
    assert math.isinf(values[2])
    assert math.isnan(values[3])


def test_history_holds_the_stage_without_controls(ledger: Ledger) -> None:
    suggest(ledger)
    suggest(ledger, control="default")
    suggest(ledger, stage="weights")
    assert [trial.number for trial in ledger.history("layout").trials] == [0]
    assert ledger.history("layout").seq == ledger.seq


def test_a_reader_sees_the_writers_commits(ledger: Ledger) -> None:
    with Ledger.read(ledger.path) as reader:
        assert reader.trials() == []
        suggest(ledger)
        assert len(reader.trials()) == 1
        with pytest.raises(InputError, match="readonly"):
            suggest(reader)


def test_a_failed_write_leaves_file_and_memory_as_they_were(ledger: Ledger) -> None:
    suggest(ledger)
    with pytest.raises(TypeError):
        suggest(ledger, info={"not json": object()})
    assert len(ledger.trials()) == 1
    assert suggest(ledger).number == 1


def test_what_is_written_within_a_transaction_is_there_whole_or_not_at_all(ledger: Ledger) -> None:
    trial = suggest(ledger)
    with pytest.raises(TypeError), ledger.transaction():
        _stopped_and_noted(ledger, trial.number, object())
    assert ledger.trial(trial.number).state is TrialState.WAITING
    with ledger.transaction():
        _stopped_and_noted(ledger, trial.number, "this")
    with Ledger.read(ledger.path) as reader:
        assert reader.trial(trial.number).state is TrialState.STOPPED
        assert [event.kind for event in reader.events()] == ["suggested", "ended", "both"]


def _stopped_and_noted(ledger: Ledger, number: int, what: object) -> None:
    ledger.end(number, TrialState.STOPPED)
    ledger.note("both", {"key": what})


def test_a_trial_ends_in_a_final_state_only(ledger: Ledger) -> None:
    trial = suggest(ledger)
    with pytest.raises(ValueError, match="final state, got running"):
        ledger.end(trial.number, TrialState.RUNNING)


def test_create_refuses_an_existing_file(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="exists"):
        Ledger.create(ledger.path, {}, [MRR])


def test_read_refuses_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputError, match="is not a ledger"):
        Ledger.read(path)


@pytest.mark.parametrize("how", ["read", "open"])
@pytest.mark.parametrize("damage", ["folder", "empty", "cut", "head"])
def test_what_is_no_whole_ledger_is_said_with_a_remedy(ledger: Ledger, damage: str, how: str) -> None:
    suggest(ledger)
    ledger.close()
    path = ledger.path
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(whole[: {"empty": 0, "cut": len(whole) // 2, "head": 60}[damage]])
    with pytest.raises(InputError, match=r"ledger\.sqlite: is not a ledger \(.*\); put a whole copy of it back"):
        getattr(Ledger, how)(path)


def test_pages_that_were_overwritten_are_met_when_they_are_read(ledger: Ledger) -> None:
    trial = suggest(ledger)
    for epoch in range(1, 2000):
        ledger.report(trial.number, epoch, {"valid/mrr": 0.1})
    ledger.close()
    content = bytearray(ledger.path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    ledger.path.write_bytes(content)
    with pytest.raises(InputError, match="is not a ledger"), Ledger.read(ledger.path) as damaged:
        damaged.reports()


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, who may not read the file")
def test_a_ledger_of_somebody_else_is_not_opened(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    ledger.path.chmod(0)
    with as_nobody(tmp_path), pytest.raises(InputError, match=r"cannot be opened .* see that this user may read"):
        Ledger.read(ledger.path)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Within it, this process has a user's rights; all folders above `folder` can be walked through by it."""
    for above in [folder, *folder.parents[:3]]:
        above.chmod(above.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


WRITER = """
import sys
from pathlib import Path
from searchplat.ledger import Ledger
from searchplat.spec.model import Objective
ledger = Ledger.create(Path(sys.argv[1]), {}, [Objective("valid/mrr", True)])
trial = ledger.suggest(stage="s", method="m", values={}, config={}, data_fraction=1.0, seed=0)
for epoch in range(1, 1_000_000):
    ledger.report(trial.number, epoch, {"valid/mrr": epoch / 1e6})
    print(epoch, flush=True)
"""


def test_whatever_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = int(process.stdout.read().split()[-1])
    process.wait()
    process.stdout.close()
    with Ledger.open(path) as ledger:
        assert ledger.trial(0).epoch >= acknowledged
        assert len(ledger.reports(0)) == ledger.trial(0).epoch


def test_a_sink_can_be_forgotten_and_the_newest_event_of_a_kind_be_found(ledger: Ledger) -> None:
    assert ledger.newest("opened", "closed") is None
    ledger.note("opened", {"resumed": False})
    closed = ledger.note("closed", {"state": "done"})
    suggest(ledger)
    newest = ledger.newest("opened", "closed")
    assert newest is not None
    assert (newest.seq, newest.kind, newest.payload) == (closed, "closed", {"state": "done"})
    for sink in ("mlflow", "other"):
        ledger.set_cursor(sink, closed)
        ledger.set_sink_run(sink, "search", "abc")
    ledger.forget_sink("mlflow")
    assert (ledger.cursor("mlflow"), ledger.sink_runs("mlflow")) == (0, {})
    assert (ledger.cursor("other"), ledger.sink_runs("other")) == (closed, {"search": "abc"})
