from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder

Run = Callable[..., Result]
HalfDone = tuple[SearchFolder, Ledger]


@pytest.fixture
def runs(half_done: HalfDone) -> str:
    """The folder of all searches; the search in it is closed and held by nobody."""
    folder, ledger = half_done
    ledger.note("closed", {"state": "interrupted", "message": "by hand"})
    return str(folder.path.parent)


def test_a_store_gets_all_and_twice_is_once(runs: str, half_done: HalfDone, cli: Run, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    first = cli("sync", "first", "--tracking-uri", uri, "--runs", runs, "--json")
    again = cli("sync", "first", "--tracking-uri", uri, "--runs", runs)

    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert told["sent"] == half_done[1].seq
    assert told["unsent"] == told["unsent_runs"] == 0
    assert again.exit_code == 0
    assert "0 rows sent" in again.stdout
    mlflow.set_tracking_uri(uri)
    found = mlflow.search_runs(experiment_names=["first"], filter_string="tags.`searchplat.kind` = 'trial'")
    assert len(found) == len(half_done[1].trials())


def test_another_store_gets_all_and_says_so(runs: str, half_done: HalfDone, cli: Run, tmp_path: Path) -> None:
    def sync(uri: str) -> Result:
        return cli("sync", "first", "--runs", runs, "--timeout", "60", "--tracking-uri", uri)

    rows = half_done[1].seq
    older = tmp_path / "older.db"
    assert f": {rows} rows sent" in sync(f"sqlite:///{older}").stdout
    shutil.copy(older, tmp_path / "mlflow.db")
    assert f": {rows} rows sent" in sync(f"sqlite:///{tmp_path}/mlflow.db").stdout
    away = sync("http://127.0.0.1:9")
    assert away.exit_code == 75
    assert f"has not got {rows} rows and 0 runs" in away.output
    assert ": 0 rows sent" in sync(f"sqlite:///{tmp_path}/mlflow.db").stdout


def test_what_cannot_be_sent_stays(runs: str, cli: Run, tmp_path: Path) -> None:
    result = cli("sync", "first", "--tracking-uri", "http://127.0.0.1:9", "--runs", runs, "--timeout", "3")

    assert result.exit_code == 75
    assert "the same command goes on" in result.output
    whole = cli("sync", "first", "--tracking-uri", f"sqlite:///{tmp_path}/later.db", "--runs", runs)
    assert whole.exit_code == 0, whole.output


def test_a_search_that_runs_is_left_alone(runs: str, half_done: HalfDone, cli: Run) -> None:
    with half_done[0].held():
        result = cli("sync", "first", "--runs", runs)

    assert result.exit_code == 75
    assert "run by another process" in result.output


def test_wrong_input(cli: Run, tmp_path: Path) -> None:
    assert cli("sync", "nosuch", "--runs", str(tmp_path)).exit_code == 2
    assert not (tmp_path / "nosuch").exists()
