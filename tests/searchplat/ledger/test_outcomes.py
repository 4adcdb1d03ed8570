"""Bounds on outcomes in the ledger: worked out from the reports, the same for who writes, who opens and who reads."""

from __future__ import annotations

import doctest
import math
from pathlib import Path

import pytest

from searchplat.engine.planning.configuration import full_config
from searchplat.engine.resuming.fork import copy_trials
from searchplat.ledger import Ledger, TrialRecord, outcomes
from searchplat.ledger.outcomes import broken_document, broken_words
from searchplat.ledger.ranking import Ranking
from searchplat.ledger.repeats import info_of
from searchplat.searchers.contract import TrialState
from searchplat.spec import load_text, to_document
from searchplat.spec.model import SearchSpec

TEXT = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search: {x: {type: float, low: 0.0, high: 1.0}}
searcher: {name: random}
trials: 9
outcomes: [time/train_seconds <= 10, valid/recall >= 0.5]
"""


def create(path: Path, spec: SearchSpec) -> Ledger:
    return Ledger.create(path, to_document(spec), spec.objectives)


def add(
    ledger: Ledger, *reports: dict[str, float], control: str | None = None, again: TrialRecord | None = None
) -> int:
    trial = ledger.suggest(
        stage="controls" if control else "search", method="rehearsal", values={"x": 0.5}, data_fraction=1.0, seed=0,
        config=full_config("rehearsal", {"x": ledger.next_number / 100}) if again is None else again.config,
        control=control, info=None if again is None else info_of(again, 1, shared=False),
    )  # fmt: skip
    for epoch, metrics in enumerate(reports, 1):
        ledger.report(trial.number, epoch, metrics)
    ledger.end(trial.number, TrialState.FINISHED)
    return trial.number


def measured(mrr: float, seconds: float, recall: float = 0.9) -> dict[str, float]:
    return {"valid/mrr": mrr, "time/train_seconds": seconds, "valid/recall": recall}


def test_examples_of_the_documentation() -> None:
    assert doctest.testmod(outcomes).failed == 0


def test_the_best_epoch_counts_and_all_readers_agree(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with create(path, load_text(TEXT)) as ledger, Ledger.read(path) as beside:
        add(ledger, measured(0.1, 5), measured(0.3, 15), measured(0.2, 5))
        add(ledger, measured(0.1, 15, 0.1), measured(0.3, 10, 0.5))
        add(ledger, {"valid/mrr": 0.3, "time/train_seconds": 12.5})
        add(ledger, {"valid/mrr": 0.3}, control="popularity")
        waiting = ledger.suggest(
            stage="search", method="m", values={}, config={}, data_fraction=1.0, seed=0
        )  # nothing is known of it yet
        first, second, third, control, _ = ledger.trials()
        assert (first.violation, second.violation, third.violation) == (0.5, 0.0, math.inf)
        assert (broken_words(first.broken), broken_words(second.broken)) == ("breaks time/train_seconds <= 10 by 5", "")
        assert broken_words(third.broken) == (
            "breaks time/train_seconds <= 10 by 2.5; valid/recall >= 0.5, which it did not report"
        )
        assert broken_document(third.broken)[1] == {
            "bound": "valid/recall >= 0.5", "metric": "valid/recall", "value": None, "by": None,
        }  # fmt: skip
        assert control.broken == ()  # another method need not report what is bounded
        assert ledger.trial(waiting.number).outcomes == ()
        assert [trial.excess for trial in ledger.history("search").trials] == [
            (0.5, pytest.approx(-0.8)), (0.0, 0.0), (0.25, math.inf), (),
        ]  # fmt: skip
        here = [(trial.violation, repr(trial.outcomes)) for trial in ledger.trials()]
        assert here == [(trial.violation, repr(trial.outcomes)) for trial in beside.trials()]
        assert beside.trial(0).violation == 0.5
    with Ledger.open(path) as again:
        assert here == [(trial.violation, repr(trial.outcomes)) for trial in again.trials()]


def test_a_ledger_without_bounds_has_none(tmp_path: Path) -> None:
    with create(tmp_path / "ledger.sqlite", load_text(TEXT, overrides=["outcomes=null"])) as ledger:
        add(ledger, measured(0.1, 500))
        (trial,) = ledger.trials()
        assert (trial.outcomes, trial.broken, trial.violation) == ((), (), 0.0)
        assert ledger.history("search").trials[0].excess == ()


def test_what_a_repeated_configuration_measured_is_the_mean(tmp_path: Path) -> None:
    with create(tmp_path / "ledger.sqlite", load_text(TEXT)) as ledger:
        first = ledger.trial(add(ledger, measured(0.3, 12)))
        other = add(ledger, measured(0.1, 9))
        assert [trial.number for trial in Ranking.of(ledger).best()] == [other, first.number]
        add(ledger, measured(0.2, 6), again=first)
        best, _ = Ranking.of(ledger).best()
        assert (best.number, best.violation, best.outcomes[0].value) == (first.number, 0.0, 9.0)


def test_a_fork_judges_by_its_own_bounds(tmp_path: Path) -> None:
    loose = load_text(TEXT.replace("<= 10", "<= 20"))
    with create(tmp_path / "old.sqlite", load_text(TEXT)) as old, create(tmp_path / "new.sqlite", loose) as new:
        add(old, measured(0.3, 15))
        copy_trials(old, "old", new, loose)
        assert (old.trial(0).violation, new.trial(0).violation) == (0.5, 0.0)
