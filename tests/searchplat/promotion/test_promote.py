"""Promotions on real Ray Train and real MLflow, of a search whose ledger was written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from promotions import ended_search, sasrec_spec
from searches import rehearsal_spec

from searchplat.contract.measures import BEYOND, unasked
from searchplat.engine.places import Places
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.promotion.candidates import Asked
from searchplat.promotion.promote import run_promotion
from searchplat.promotion.record import FINAL, RACE, load_promotion
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import DataSpec

ROOT = Path("runs")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))


def children() -> list[Any]:
    # Absolute: MLflow keeps the store that a relative address meant in an earlier folder.
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    return mlflow.search_runs(
        experiment_names=["ended"], filter_string="tags.`searchplat.kind` = 'final'", output_format="list"
    )


@pytest.mark.slow
def test_a_search_is_promoted_once_and_mlflow_has_its_final_runs() -> None:
    folder = ended_search(ROOT)
    said: list[str] = []
    outcome = run_promotion("ended", asked=Asked(race=1), say=said.append)
    promotion = outcome.promotion
    assert (outcome.state, outcome.exit_code, outcome.unsent_runs) == ("done", 0, 0)
    assert promotion == load_promotion(folder.path)
    assert promotion.candidates == ("trial-0", "trial-1", "popularity", "default")
    assert promotion.search_scores == {"trial-0": 0.35, "trial-1": 0.3, "popularity": 0.06, "default": 0.15}
    assert {(run.phase, run.state) for run in promotion.runs} == {(RACE, "finished"), (FINAL, "finished")}
    finals = promotion.finals()
    assert len(finals) == promotion.test_openings == 8
    for run in finals:
        assert {name for name in run.test if not unasked(name)} == {"mrr", "recall@10"}
        assert {"short/mrr", "tail/users", *BEYOND} <= set(run.test)
        assert run.epochs <= 4
        ranks_U = np.load(run.ranks or "", allow_pickle=False)
        assert (ranks_U.dtype, len(ranks_U)) == (np.int32, promotion.num_users)
        assert float((1 / ranks_U).mean()) == pytest.approx(run.test["mrr"])
        assert sorted(path.name for path in run.folder.iterdir()) == ["model.json", "model.safetensors", "ranks.npy"]
        assert json.loads((run.folder / "model.json").read_text())["config"] == run.config
    winner = promotion.winner()
    assert winner is not None
    assert winner.control is None
    assert any(line.startswith("final  8/8") for line in said)

    runs = children()
    assert len(runs) == 8
    parents = mlflow.search_runs(
        experiment_names=["ended"], filter_string="tags.`searchplat.kind` = 'search'", output_format="list"
    )
    assert len(parents) == 1
    client = mlflow.MlflowClient()
    by_key = {(run.candidate, run.seed): run for run in finals}
    for sent in runs:
        tags = sent.data.tags
        run = by_key.pop((tags["searchplat.candidate"], int(tags["searchplat.seed"])))
        assert sent.info.status == "FINISHED"
        assert tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert (tags["searchplat.search"], tags["searchplat.trial"]) == ("ended", str(run.trial))
        for name in ("space", "data", "code", "torch"):
            assert tags[f"searchplat.lineage.{name}"] == promotion.lineage[name]
        assert sent.data.metrics["test/recall_at_10"] == pytest.approx(run.test["recall@10"])
        assert sent.data.metrics["test/coverage_at_10"] == pytest.approx(run.test["coverage@10"])
        assert sent.data.metrics["test/tail/mrr"] == pytest.approx(run.test["tail/mrr"])
        assert sent.data.metrics["valid/mrr"] == pytest.approx(run.valid["mrr"])
        assert sent.data.params["learning_rate"] == json.dumps(run.config["learning_rate"])
        assert "ranks.npy" in [artifact.path for artifact in client.list_artifacts(sent.info.run_id)]
    assert by_key == {}

    # The same command again: nothing is trained, tested or sent again.
    again = run_promotion("ended", asked=Asked(race=1), say=said.append)
    assert again.promotion == promotion
    assert len(children()) == 8
    assert said[-1] == "going on with promotion 1 of ended"

    # The search goes on and finds something better, which can even not be promoted: the promotion has its candidates.
    with Ledger.open(folder.ledger_path) as ledger:
        better = ledger.suggest(
            stage="search", control=None, method="not-there", values={"learning_rate": 0.02}, config={},
            data_fraction=1.0, seed=1,
        )  # fmt: skip
        ledger.start(better.number)
        ledger.report(better.number, 1, {"valid/mrr": 0.9})
        ledger.end(better.number, TrialState.FINISHED)
    assert run_promotion("ended", asked=Asked(race=1)).promotion == promotion


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_second_promotion_says_so_and_is_only_begun_when_asked_for() -> None:
    folder = ended_search(ROOT, spec=sasrec_spec(seeds=1, top=1))
    run_promotion("ended", asked=Asked(race=0))
    with pytest.raises(
        InputError,
        match=r"promoted before with seeds 1, now 2, and its test split was opened 3 times; .* or promote --again",
    ):
        run_promotion("ended", asked=Asked(race=0, seeds=2))
    said: list[str] = []
    second = run_promotion("ended", asked=Asked(race=0), again=True, say=said.append).promotion
    assert said[0].startswith("promotion 2 of ended: its test split was opened 3 times before; what is chosen after")
    assert (second.number, second.test_openings) == (2, 6)
    first = load_promotion(folder.path, 1)
    assert not {run.seed for run in first.runs} & {run.seed for run in second.runs}
    assert len(children()) == 6


def test_metrics_among_sampled_items_need_sampled_items() -> None:
    ended_search(ROOT, spec=sasrec_spec(test=("mrr", "sampled/ndcg@10")))
    with pytest.raises(InputError, match=r"sampled/ndcg@10 is among sampled items, but no configuration has"):
        run_promotion("ended")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("converage@10", "metric 'converage@10' is not known; known are mrr"),
        ("tail/gini@10", "is of everybody's lists, not of a group"),
        ("gini", "metric 'gini' is not known"),
    ],
)
def test_a_metric_that_nobody_knows_is_refused_before_anything_is_trained(name: str, wrong: str) -> None:
    ended_search(ROOT, spec=sasrec_spec(test=("mrr", name)))
    with pytest.raises(InputError, match=wrong):
        run_promotion("ended")


@pytest.mark.parametrize("name", ["data", "code", "space", "torch"])
def test_a_wrong_hash_is_refused_before_anything_starts(name: str) -> None:
    folder = ended_search(ROOT)
    with Ledger.open(folder.ledger_path) as ledger:
        (recorded,) = json.loads(ledger.meta("lineage") or "")
        ledger.set_meta("lineage", json.dumps([{**recorded, name: "1f3a"}]))
    with pytest.raises(InputError, match=rf"(?s)other conditions:\n  {name}: 1f3a then, .* now\n.*--allow-changed"):
        run_promotion("ended")
    with pytest.raises(InputError, match="was not promoted yet"):
        load_promotion(folder.path)
    assert not (folder.path / "promotions").exists()


def test_changed_data_on_the_disk_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [f"{user},{item},4.0,{time}" for user in range(6) for time, item in enumerate(range(1, 9))]
    (data / "movies.csv").write_text("movieId,title,genres\n" + "".join(f"{i},F{i} (1999),A\n" for i in range(1, 9)))
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows))
    spec = sasrec_spec()
    options = {"folder": str(data)}
    ended_search(ROOT, spec=replace(spec, data=DataSpec("ml-latest-small", options)))
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(reversed(rows)))
    with pytest.raises(InputError, match=r"  data: .* then, .* now"):
        run_promotion("ended")


@pytest.mark.by_hand
@pytest.mark.slow
def test_what_is_allowed_to_have_changed_is_said_and_recorded() -> None:
    folder = ended_search(ROOT, spec=sasrec_spec(seeds=1, top=1))
    with Ledger.open(folder.ledger_path) as ledger:
        (recorded,) = json.loads(ledger.meta("lineage") or "")
        ledger.set_meta("lineage", json.dumps([{**recorded, "code": "1f3a"}]))
    said: list[str] = []
    run_promotion(
        "ended",
        asked=Asked(race=0),
        allow_changed=True,
        say=said.append,
        places=Places(tracking_uri="http://127.0.0.1:9"),
    )
    assert said[0] == f"changed since the search, and allowed: code: 1f3a then, {recorded['code']} now"


@pytest.mark.by_hand
@pytest.mark.slow
def test_what_mlflow_has_not_got_is_sent_by_the_same_command(caplog: pytest.LogCaptureFixture) -> None:
    ended_search(ROOT, spec=sasrec_spec(seeds=1, top=1))
    outcome = run_promotion("ended", asked=Asked(race=0), places=Places(tracking_uri="http://127.0.0.1:9"))
    assert (outcome.state, outcome.unsent_runs) == ("done", 3)
    assert "the same command sends them" in caplog.text
    assert run_promotion("ended", asked=Asked(race=0)).unsent_runs == 0
    assert len(children()) == 3


def test_a_method_without_final_training_cannot_be_promoted() -> None:
    spec = rehearsal_spec()
    folder = ROOT / "ended"
    with Ledger.create(folder / "ledger.sqlite", to_document(spec), spec.objectives) as ledger:
        trial = ledger.suggest(stage="weights", method="rehearsal", values={}, config={}, data_fraction=1.0, seed=1)
        ledger.report(trial.number, 1, {"valid/mrr": 0.5})
        ledger.end(trial.number, TrialState.FINISHED)
    with pytest.raises(InputError, match="method 'rehearsal' cannot be promoted: it has no start_final"):
        run_promotion("ended")
