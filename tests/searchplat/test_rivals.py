from __future__ import annotations

from dataclasses import replace

import pytest

from searchplat.ledger import Ledger, TrialRecord
from searchplat.rivals import not_beaten, standing
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective


@pytest.fixture
def trial(tmp_path_factory: pytest.TempPathFactory) -> TrialRecord:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with Ledger.create(path, {}, (Objective("valid/mrr", True),)) as ledger:
        found = ledger.suggest(
            stage="search", method="darec", values={}, config={"epochs": 1}, data_fraction=1.0, seed=1
        )  # fmt: skip
        ledger.start(found.number)
        ledger.report(found.number, 1, {"valid/mrr": 0.0239})
        ledger.end(found.number, TrialState.FINISHED)
        return ledger.trial(found.number)


def test_many_controls_are_counted_and_not_all_named() -> None:
    rivals = [(name, value) for value, name in enumerate("abcde", start=1)]
    assert not_beaten(0.5, rivals) == "below the controls e (5.0000), d (4.0000), c (3.0000) and 2 more"
    assert not_beaten(6.0, rivals) == ""
    assert not_beaten(4.0, rivals) == "below the control e (5.0000)"
    assert not_beaten(0.5, rivals, maximize=False) == ""
    assert not_beaten(0.5, []) == ""


def test_only_controls_on_the_same_users_and_items_count(trial: TrialRecord) -> None:
    markov = replace(trial, control="markov", objectives=(0.0491,))
    assert standing(trial, [markov], {"rank_met": True}, True) == "below the control markov (0.0491)"
    assert standing(trial, [replace(markov, data_fraction=0.5)], {"rank_met": True}, True) == ""
    before = replace(markov, config={"exclude_history": True})
    assert standing(trial, [before], {"rank_met": True}, True) == ""
    assert standing(None, [markov], {}, True) == ""
