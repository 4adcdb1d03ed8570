"""A search whose MLflow server keeps runs in PostgreSQL: every row is there, and queries answer the same."""

from __future__ import annotations

import ast
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from interruptions import check_mlflow, ledger_path, trials_of
from mlflow_server import Server
from postgres import PASSWORD, postgres

from searchplat.engine.planning.configuration import full_config
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec import load, to_document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3}
search:
  x: {type: float, low: 0.0, high: 1.0}
  fault: {type: categorical, choices: [none, nan, inf, memory]}
searcher: {name: random}
trials: 12
controls:
  - {name: default}
resources: {cpu: 1, gpu: 0, concurrent: 1}
"""


def write_ledger(folder: Path) -> None:
    """A search that has ended, with all that a report or a cause may hold, written without running it."""
    (folder / "space.yaml").write_text(SPACE)
    spec = load(str(folder / "space.yaml"))
    place = SearchFolder(folder / "runs", "space")
    place.path.mkdir(parents=True)
    with Ledger.create(place.ledger_path, to_document(spec), spec.objectives) as ledger:
        ledger.note("opened", {"pid": 1, "resumed": False})
        for number in range(60):
            values = {"x": number / 60, "fault": "none"}
            trial = ledger.suggest(
                stage=spec.stages[0].name, method="rehearsal", values=values,
                config=full_config("rehearsal", {**values, "epochs": 3}), data_fraction=1.0, seed=number,
                info={"route": "réal ☃"},
            )  # fmt: skip
            ledger.start(trial.number)
            odd = {3: math.nan, 4: math.inf, 5: -math.inf}.get(number % 7)
            for epoch in range(1, 4):
                # No two alike: of equals MLflow has the later first, `best` the earlier.
                score = 0.5 - (values["x"] - 0.703) ** 2 - 0.1 / epoch if odd is None or epoch == 1 else odd
                ledger.report(trial.number, epoch, {"valid/mrr": score, "tiny": 1e-300 / epoch, "big": 1e308})
                if not math.isfinite(score):
                    ledger.end(trial.number, TrialState.DIVERGED, "a \0 and a ☃, at length; " * 2000)
                    break
            else:
                ledger.end(trial.number, TrialState.FINISHED)
        ledger.note("closed", {"state": "done", "message": "done"})


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "searchplat", *arguments], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(uri: str) -> list[dict[str, object]]:
    """What the README's query answers: the best trials, without what depends on the store."""
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(import mlflow\n.*?)```", readme, re.DOTALL)
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and node.keywords]
    asked = {word.arg: ast.literal_eval(word.value) for word in calls[0].keywords}
    mlflow.set_tracking_uri(uri)
    found = mlflow.search_runs(**{**asked, "experiment_names": ["space"]}, output_format="list")
    return [{**run.data.metrics, **run.data.params, "trial": run.data.tags["searchplat.trial"]} for run in found]


def check_all_is_there(folder: Path, server: Server, database: str) -> None:
    """What the server has is what the ledger has, and it answers as SQLite does and as the database does by itself."""
    trials = trials_of(folder)
    with Ledger.read(ledger_path(folder)) as ledger:
        assert ledger.cursor("mlflow") == ledger.seq
    check_mlflow(folder, "space", trials, server.uri)
    best = json.loads(run("best", "space", "--top", "5", "--json"))
    answered = rows(server.uri)
    numbers = [str(trial["number"]) for trial in (best["trials"] if isinstance(best, dict) else best)]
    assert [row["trial"] for row in answered] == numbers
    run("sync", "space", "--tracking-uri", "sqlite:///other.db")
    assert rows(f"sqlite:///{folder}/other.db") == answered
    run("sync", "space", "--tracking-uri", database)
    assert rows(database) == answered
    check_mlflow(folder, "space", trials, database)
    assert PASSWORD.encode() not in ledger_path(folder).read_bytes()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    with postgres() as database:
        server = Server(tmp_path, database)
        server.start()
        try:
            yield server, database
        finally:
            server.stop()


def test_every_row_of_a_search_comes_to_postgresql(tmp_path: Path, served: tuple[Server, str]) -> None:
    server, database = served
    (tmp_path / "space.yaml").write_text(SPACE)
    run("search", "space.yaml", "--tracking-uri", server.uri)
    assert {str(trial.state) for trial in trials_of(tmp_path)} == {"finished", "diverged", "infeasible"}
    check_all_is_there(tmp_path, server, database)


@pytest.mark.by_hand
def test_what_other_stores_would_take_comes_to_postgresql_too(tmp_path: Path, served: tuple[Server, str]) -> None:
    server, database = served
    write_ledger(tmp_path)
    run("sync", "space", "--tracking-uri", server.uri)
    check_all_is_there(tmp_path, server, database)
