"""MLflow's ranking is the ledger's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.ranking import Ranking
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective
from searchplat.tracking import MlflowSink, best_trials
from searchplat.tracking.queries import RANKED

Train = Callable[..., int]


@pytest.fixture(params=[True, False], ids=["maximize", "minimize"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    objectives = [Objective("valid/mrr", request.param), Objective("valid/ndcg@10", request.param)]
    with Ledger.create(tmp_path / "ledger.sqlite", {}, objectives) as opened:
        yield opened


def test_the_best_trials_are_those_of_the_ledger_in_its_order(
    ledger: Ledger, store: str, name: str, mlflow: Any, new_sink: Callable[..., MlflowSink], train: Train
) -> None:
    for value in (0.3, 0.5, 0.5, 0.1):
        train(value)
    train(0.4, TrialState.STOPPED, stage="weights")
    train(0.05, TrialState.DIVERGED)
    train(0.99, stage="controls", control="default")
    sink = new_sink()
    assert sink.flush(30) == 0
    found = best_trials(store, name, 10)
    ranking = Ranking.of(ledger).best()
    assert [(run.trial, run.value) for run in found] == [(t.number, (t.objectives or (0.0,))[0]) for t in ranking]
    assert found[0].params["seed"] == "7"
    assert [run.trial for run in best_trials(store, name, 2)] == [t.number for t in ranking[:2]]
    assert [run.trial for run in best_trials(store, name, stage="weights")] == [4]
    # The documented query works as it stands.
    experiment = mlflow.get_experiment_by_name(name)
    order = [f"metrics.`best/valid/mrr` {'DESC' if ledger.objectives[0].maximize else 'ASC'}"]
    runs = mlflow.search_runs([experiment.experiment_id], RANKED, order_by=order)
    assert {int(run.data.tags["searchplat.trial"]) for run in runs} == {trial.number for trial in ranking}
    assert [run.data.metrics["best/valid/mrr"] for run in runs] == [(t.objectives or (0.0,))[0] for t in ranking]
    page = (Path(__file__).parents[3] / "README.md").read_text()
    assert RANKED.replace("attributes.", "") in page


def test_an_unknown_search_or_file_is_named(store: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no search 'nothing'; this sends it: searchplat sync nothing"):
        best_trials(store, "nothing")
    with pytest.raises(InputError, match="there is no such file"):
        best_trials(f"sqlite:///{tmp_path}/none.db", "nothing")
    assert not (tmp_path / "none.db").exists()
