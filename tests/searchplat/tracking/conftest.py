"""One real MLflow store for all tests of this folder (a fresh one takes seconds), and small searches to send."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective
from searchplat.spec.space import Layout
from searchplat.tracking import MlflowSink
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect

LAYOUT = Layout("layout", 3, ("causal", "context", "recommend"), ("serial", "parallel"))
_names = itertools.count()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tracking URI of a SQLite store that exists."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # MLflow puts artifacts where it was when it opened the store
        connect(Address.parse(uri))
    return uri


@pytest.fixture
def copy_store(store: str) -> Callable[[Path], str]:
    """Copies the store into a folder that it makes, and returns the copy's tracking URI.

    Through SQLite, never as a file: closing a file takes from the whole process the locks that SQLite holds on it, and
    the next process that opens and closes the store then deletes the log that this one still writes to.
    """

    def copy(folder: Path) -> str:
        folder.mkdir()
        original = Address.parse(store).sqlite
        assert original is not None
        with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(folder / "mlflow.db")) as target:
            source.backup(target)
        return f"sqlite:///{folder}/mlflow.db"

    return copy


@pytest.fixture
def mlflow(store: str) -> Any:
    """A client of the store, to look with."""
    return connect(Address.parse(store))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of a search for the largest valid/mrr."""
    document = {"method": "toy", "data": {"name": "toy-data"}}
    objectives = [Objective("valid/mrr", True), Objective("valid/ndcg@10", True)]
    with Ledger.create(tmp_path / "ledger.sqlite", document, objectives) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A search's name that no other test has."""
    return f"search-{next(_names)}"


@pytest.fixture
def new_sink(ledger: Ledger, name: str, store: str) -> Iterator[Callable[..., MlflowSink]]:
    """Makes sinks on the ledger, ten looks a second; stops them at the end."""
    made: list[MlflowSink] = []

    def make(uri: str = store, **changes: Any) -> MlflowSink:
        given = {
            "experiment": name,
            "tracking_uri": uri,
            "space_text": "method: toy\n",
            "space_name": "toy.yaml",
            "tags": {"searchplat.method": "toy"},
            "layout": LAYOUT,
            "every_s": 0.1,
        }
        made.append(MlflowSink(ledger, **{**given, **changes}))
        return made[-1]

    yield make
    for sink in made:
        sink.stop(5)


@pytest.fixture
def suggest(ledger: Ledger) -> Callable[..., int]:
    """Adds a trial to the ledger; returns its number."""

    def add(stage: str = "layout", control: str | None = None, layout: str = "010-000-111", **changes: Any) -> int:
        given: dict[str, Any] = {
            "method": "toy",
            "values": {"layout": layout},
            "config": {"layout": layout, "lr": 0.1, "loop": {"epochs": 3, "metrics": ["mrr"]}},
            "data_fraction": 0.2,
            "seed": 7,
            "info": {"route": "random"},
        }
        return ledger.suggest(stage=stage, control=control, **{**given, **changes}).number

    return add


@pytest.fixture
def train(ledger: Ledger, suggest: Callable[..., int]) -> Callable[..., int]:
    """Adds a trial, runs it for two epochs, and ends it with `value` as its best; returns its number."""

    def run(value: float, state: TrialState = TrialState.FINISHED, **changes: Any) -> int:
        number = suggest(**changes)
        ledger.start(number)
        for epoch in (1, 2):
            metrics = {"valid/mrr": value * epoch / 2, "valid/ndcg@10": value, "train/loss": 1 / epoch}
            ledger.report(number, epoch, metrics)
        ledger.end(number, state)
        return number

    return run
