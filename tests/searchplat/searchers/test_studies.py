from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.searchers.studies import _params, write_studies
from searchplat.spec import load_text, to_document
from searchplat.spec.space import Categorical, Domain, Float, Int


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        (Categorical("c", (1, True, 1.0, "1")), {1: "1", "1": '"1"'}),
        (Categorical("c", (False, 0)), {0: "0"}),
        (Categorical("c", (None, "null", 2)), {None: None, "null": "null", 2: 2}),
        (Int("n", 2**53 + 1, 2**60, log=True), {2**60: 2.0**60}),
        (Int("n", -(2**62), 5), {5: 5.0, -(2**62): -(2.0**62)}),
        (Int("n", -(2**53), 2**53), {2**53: 2**53}),
        (Float("x", 1e-300, 1e-300, log=True), {1e-300: 1e-300}),
    ],
)
def test_values_come_back_from_a_study_as_they_went_in(domain: Domain, told: dict[Any, Any]) -> None:
    study = optuna.create_study(direction="maximize")
    for value, expected in told.items():
        ((name, param, distribution),) = _params(domain, value)
        study.add_trial(optuna.create_trial(params={name: param}, distributions={name: distribution}, value=1.0))

        back = study.trials[-1].params[name]
        assert (type(back), back) == (type(expected), expected)
        assert distribution.to_external_repr(distribution.to_internal_repr(back)) == expected


def test_bounds_on_outcomes_are_constraints(tmp_path: Path) -> None:
    spec = load_text(
        "method: rehearsal\ndata: {name: toy}\nobjective: {metric: valid/mrr, direction: maximize}\n"
        "search: {x: {type: float, low: 0, high: 1}}\nsearcher: {name: random}\ntrials: 2\n"
        "outcomes: [valid/mrr <= 0.5]\n"
    )
    with Ledger.create(tmp_path / "ledger.sqlite", to_document(spec), spec.objectives) as ledger:
        for value in (0.75, 0.25):
            number = ledger.suggest(
                stage="search", method="rehearsal", values={"x": value}, config={}, data_fraction=1.0, seed=0
            ).number
            ledger.report(number, 1, {"valid/mrr": value})
            ledger.end(number, TrialState.FINISHED)
        (name,) = write_studies(ledger, spec, "s", tmp_path / "studies.db")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path}/studies.db")
    assert [trial.constraints for trial in study.trials] == [{"valid/mrr <= 0.5": 0.5}, {"valid/mrr <= 0.5": -0.5}]
    assert study.best_trial.number == 1
