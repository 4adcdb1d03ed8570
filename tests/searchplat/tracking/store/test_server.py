"""A real MLflow server on this machine that goes away and comes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow_server import Server

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.tracking import MlflowSink, best_trials
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.stop()


def counts(uri: str, name: str) -> dict[str, int]:
    client = connect(Address.parse(uri))
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    rows = sum(len(client.get_metric_history(run.info.run_id, key)) for run in runs for key in run.data.metrics)
    return {
        "runs": len(runs),
        "trials": len({run.data.tags.get("searchplat.trial") for run in runs} - {None}),
        "running": sum(run.info.status == "RUNNING" for run in runs),
        "rows": rows,
        "pictures": sum(
            file.path == "layout.png" for run in runs for file in client.list_artifacts(run.info.run_id)
        ),
    }  # fmt: skip


def test_a_search_outlives_its_server_and_catches_up(
    server: Server,
    ledger: Ledger,
    name: str,
    new_sink: Callable[..., MlflowSink],
    train: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    ledger.note("opened", {})
    sink = new_sink(server.uri, longest_pause_s=1.0)
    sink.start()
    train(0.1)
    assert sink.flush(60) == 0
    assert "/#/experiments/" in sink.address

    server.stop()
    slowest = 0.0
    for value in (0.2, 0.3, 0.4):
        begun = time.perf_counter()
        train(value)
        slowest = max(slowest, time.perf_counter() - begun)
        time.sleep(0.3)
    assert slowest < 0.5
    begun = time.perf_counter()
    assert sink.flush(60) > 0
    assert time.perf_counter() - begun < 20
    assert sink.last_error is not None

    server.start()
    train(0.5)
    assert sink.flush(60) == 0 or sink.flush(60) == 0  # an attempt may have begun just before the server answered
    assert sink.last_error is None
    ledger.note("closed", {"state": "done"})
    assert sink.stop(60) == 0
    assert counts(server.uri, name) == {
        "runs": 6,
        "trials": 5,
        "running": 0,
        "rows": 5 * (3 * 2 + 2) + 5 * 2,  # three metrics over two epochs and two best values; every trial is the best
        "pictures": 5,
    }
    assert [run.trial for run in best_trials(server.uri, name, 2)] == [4, 3]
    assert caplog.text.count("cannot be written") == 1
    assert "Retrying" not in caplog.text


@pytest.mark.by_hand
def test_a_server_that_hangs_holds_up_neither_the_driver_nor_its_end(
    server: Server,
    ledger: Ledger,
    name: str,
    new_sink: Callable[..., MlflowSink],
    train: Callable[..., int],
    suggest: Callable[..., int],
) -> None:
    ledger.note("opened", {})
    sink = new_sink(server.uri)
    sink.start()
    train(0.1)
    assert sink.flush(60) == 0
    server.pause()
    begun = time.perf_counter()
    number = suggest()
    ledger.start(number)
    assert time.perf_counter() - begun < 0.5
    left = sink.stop(3)
    assert time.perf_counter() - begun < 6
    assert left > 0

    # The creation may have been carried out after its caller gave up; whoever comes next finds the run.
    server.resume()
    time.sleep(1)
    ledger.note("opened", {"resumed": True})
    ledger.requeue(number)
    ledger.end(number, TrialState.TIMEOUT)
    ledger.note("closed", {"state": "done"})
    sink = new_sink(server.uri)
    sink.start()
    assert sink.stop(60) == 0
    found = counts(server.uri, name)
    assert (found["runs"], found["trials"], found["running"]) == (3, 2, 0)
