"""A search whose MLflow server keeps runs in PostgreSQL: every row is there, and queries answer the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from interruptions import check_mlflow, ledger_path, trials_of
from mlflow_server import Server
from postgres import PASSWORD, postgres

from searchplat.ledger import Ledger

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


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "searchplat", *arguments], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(uri: str) -> list[dict[str, object]]:
    """What the README's query answers: the best trials, without what depends on the store."""
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    text = re.search(r"filter_string=(\".*?\"),\n\s*order_by=(\[.*?\])", readme)
    assert text is not None
    mlflow.set_tracking_uri(uri)
    found = mlflow.search_runs(
        experiment_names=["space"], filter_string=json.loads(text[1]), order_by=json.loads(text[2]), max_results=5,
        output_format="list",
    )  # fmt: skip
    return [{**run.data.metrics, **run.data.params, "trial": run.data.tags["searchplat.trial"]} for run in found]


def test_every_row_of_a_search_comes_to_postgresql(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    with postgres() as database:
        server = Server(tmp_path, database)
        server.start()
        try:
            run("search", "space.yaml", "--tracking-uri", server.uri)
            trials = trials_of(tmp_path)
            assert {str(trial.state) for trial in trials} == {"finished", "diverged", "infeasible"}
            with Ledger.read(ledger_path(tmp_path)) as ledger:
                assert ledger.cursor("mlflow") == ledger.seq
            check_mlflow(tmp_path, "space", trials, server.uri)
            best = json.loads(run("best", "space", "--top", "5", "--json"))
            answered = rows(server.uri)
            # The same ledger into SQLite, and straight into the database without a server between.
            run("sync", "space", "--tracking-uri", "sqlite:///other.db")
            assert rows(f"sqlite:///{tmp_path}/other.db") == answered
            run("sync", "space", "--tracking-uri", database)
            assert rows(database) == answered
            check_mlflow(tmp_path, "space", trials, database)
        finally:
            server.stop()
    numbers = [str(trial["number"]) for trial in (best["trials"] if isinstance(best, dict) else best)]
    assert [row["trial"] for row in answered] == numbers
    assert PASSWORD not in ledger_path(tmp_path).read_bytes().decode(errors="replace")
