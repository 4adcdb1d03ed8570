"""A metric that is not finite ends its trial with that report, and no other trial hears of it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from interruptions import command, ledger_path

from searchplat.ledger import Ledger
from searchplat.searchers import make_searcher
from searchplat.searchers.contract import History, PastTrial, TrialState
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Float, Space

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3, x: 0.7, fault_epoch: 2}
search: {fault: {type: categorical, choices: [nan, inf, -inf, none]}}
searcher: {name: grid}
trials: 4
resources: {cpu: 1, gpu: 0}
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_trial_ends_with_its_first_report_that_is_not_finite(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.replace("nan, inf, -inf", '"nan", "inf", "-inf"'))
    done = subprocess.run(command(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    with Ledger.read(ledger_path(tmp_path)) as ledger:
        trials = ledger.trials()
        seq_of = {(report.trial, report.epoch): report.seq for report in ledger.reports()}
        events = {event.seq: event for event in ledger.events(limit=10_000)}
    assert len(trials) == 4
    for trial in trials:
        if trial.values["fault"] == "none":
            assert (trial.state, trial.epoch) == ("finished", 3)
            continue
        assert (trial.state, trial.epoch, trial.best_epoch) == ("diverged", 2, 1)
        # The very next thing that the ledger says of this trial is its end.
        later = [seq for seq, event in events.items() if event.trial == trial.number and seq > seq_of[trial.number, 2]]
        assert later == [trial.ended_at]


@pytest.mark.by_hand
@pytest.mark.parametrize(
    "searcher", ["random", "tpe", pytest.param("gp", marks=pytest.mark.slow)]
)  # pr is meant to learn where trials fail
def test_suggestions_are_those_of_a_history_without_the_diverged_trial(searcher: str) -> None:
    seed = 3
    rng = random.Random(seed)
    space = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)))

    def past(number: int, state: TrialState) -> PastTrial:
        values = {"x": rng.random(), "y": rng.random()}
        # The diverged one too had a finite report before.
        best = (values["x"] - values["y"],)
        return PastTrial(number, values, state, best, 1.0, 10 * number, 10 * number - 1, 10 * number + 9)

    trials = tuple(past(number, TrialState.FINISHED) for number in range(12))
    bad = past(12, TrialState.DIVERGED)

    def suggested(history: tuple[PastTrial, ...]) -> object:
        made = make_searcher(SearcherSpec(searcher), space, (True,), seed, {})
        suggestion = made.suggest(History(history, 200), 13)
        assert suggestion is not None
        return suggestion.values

    assert suggested((*trials, bad)) == suggested(trials)
