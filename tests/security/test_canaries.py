"""Canaries wherever secrets are kept; afterwards, every byte that a search left behind is looked through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from telltale import PASSWORD, TOKEN, TelltaleConfig

from searchplat.contract import WarmCache
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.ledger import Ledger
from searchplat.methods import imports
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective

SPACE = """
method: telltale:Telltale
data: {{name: toy}}
objective: {{metric: valid/mrr, direction: maximize}}
fixed: {{epochs: 2, tell: {tell}, seen: {seen}}}
search: {{x: {{type: float, low: 0.0, high: 1.0}}}}
trials: 2
searcher: {{name: random}}
resources: {{cpu: 1, gpu: 0}}
"""

VARIABLES = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret",
    "AWS_ACCESS_KEY_ID": "canary-aws-id",
    "HF_TOKEN": "canary-hf-token",
    "MLFLOW_TRACKING_PASSWORD": "canary-mlflow-password",
    "MLFLOW_TRACKING_USERNAME": "canary-mlflow-user",
    "DATABASE_URL": "postgresql://ann:canary-database-password@db/x",
    "https_proxy": "http://ann:canary-proxy-password@127.0.0.1:9",
    "MY_OWN_SETTING": "canary-of-a-name-that-nobody-lists",
}
URI_PASSWORD = "canary-in-the-tracking-uri"
CANARIES = [*(value for value in VARIABLES.values()), PASSWORD, TOKEN, URI_PASSWORD, "canary-", "CanaryToken"]


def test_the_ledger_and_a_trials_message_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "canary-of-this-process")
    text = f"postgresql://ann:{PASSWORD}@db/x {TOKEN} canary-of-this-process"
    with Ledger.create(tmp_path / "ledger.sqlite", {}, [Objective("valid/mrr", maximize=True)]) as ledger:
        trial = ledger.suggest(stage="s", method="m", values={}, config={}, data_fraction=1.0, seed=0)
        ledger.retry(trial.number, text)
        ledger.end(trial.number, TrialState.FAILED, text)
        ledger.note("closed", {"state": "failed", "message": text})
        assert ledger.trial(trial.number).cause == "postgresql://***@db/x *** ***"
    with imports():
        config = {**TelltaleConfig(tell=True, seen=str(tmp_path / "seen.json")).model_dump(mode="json")}
        order = Order(0, "telltale:Telltale", config, "toy", {}, 1.0, 0, 0, str(tmp_path / "trial"))
        message = TrialRun(order, WarmCache()).step()
    assert message.kind == "bug"
    assert "postgresql://***@db.example/x" in str(message.cause)
    (tmp_path / "seen.json").unlink()
    said = [str(message.cause).encode(), *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())]
    assert not [canary for canary in (PASSWORD, TOKEN, "canary-of-this-process") for t in said if canary.encode() in t]


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its sessions and logs; short, for its sockets."""
    with tempfile.TemporaryDirectory(prefix="sp-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.slow  # two searches on Ray, and an MLflow that is not there
@pytest.mark.timeout(900)
def test_no_secret_is_found_in_what_searches_leave_and_say(tmp_path: Path, ray_folder: Path) -> None:
    said: list[str] = []

    def searchplat(*words: str, code: int = 0, uri: str | None = None) -> str:
        variables = {**os.environ, **VARIABLES, "RAY_TMPDIR": str(ray_folder), "no_proxy": "*"}
        variables |= {"MLFLOW_TRACKING_URI": uri} if uri else {}
        done = subprocess.run(
            [sys.executable, "-m", "searchplat", *words], capture_output=True, text=True, timeout=400, env=variables
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        said.append(done.stdout + done.stderr)
        return done.stdout + done.stderr

    seen = tmp_path / "seen.json"
    for name, tell in (("telling", "true"), ("quiet", "false")):
        (tmp_path / f"{name}.yaml").write_text(SPACE.format(tell=tell, seen=seen))

    # A trial that tells, with MLflow beside it.
    told = searchplat("--traceback", "search", "telling.yaml", "--allow-import", code=1)
    assert "postgresql://***@db.example/x" in told, "the text of the bug is shown, without its password"
    for environment in json.loads(seen.read_text()):
        assert "canary-" not in str(environment), "no trial sees what is not listed"
    # One that does not, with an MLflow behind a password that does not answer.
    away = f"http://ann:{URI_PASSWORD}@127.0.0.1:9"
    assert "unsent" in searchplat("search", "quiet.yaml", "--allow-import", uri=away)
    searchplat("sync", "quiet", "--timeout", "2", uri=away, code=75)

    for search in ("telling", "quiet"):
        searchplat("status", search)
        searchplat("trials", search, "--causes")
        searchplat("trials", search, "--json")
        searchplat("report", search)
        for form in ("csv", "parquet"):
            searchplat("export", search, "--to", form, "--out", f"{search}.{form}")
        searchplat("export", search, "--to", "optuna", "--out", f"{search}.db")
    searchplat("status")
    # What is wrong is said without what was given.
    searchplat("search", "quiet.yaml", "--name", "other", "--allow-import", "--set", f"fixed.seen={TOKEN}", code=2)
    searchplat("search", "quiet.yaml", "--tracking-uri", f"ftp:ann://u:{URI_PASSWORD}@x", code=2)

    assert (tmp_path / "mlflow.db").exists()
    assert (tmp_path / "runs" / "telling" / "report.html").exists()
    for text in said:
        assert not [canary for canary in CANARIES if canary in text]
    left = [path for folder in (tmp_path, ray_folder) for path in folder.rglob("*") if path.is_file()]
    assert len(left) > 20
    print(f"looked through {len(left)} files, {sum(path.stat().st_size for path in left):,} bytes")
    for path in left:
        content = path.read_bytes()
        assert not [canary for canary in CANARIES if canary.encode() in content], path
