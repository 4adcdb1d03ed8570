"""The sink in a process of its own: the same rows arrive, whoever of the two processes dies."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from searchplat.ledger import Ledger
from searchplat.tracking import MlflowSink
from searchplat.tracking.sending.apart import SearchSink

Train = Callable[..., int]


def maker(folder: Path, name: str, **more: Any) -> Callable[[Ledger], MlflowSink]:
    """Makes sinks, in any process."""
    settings = {"experiment": name, "tracking_uri": f"sqlite:///{folder}/mlflow.db", **more}
    return partial(MlflowSink, space_text="method: toy\n", space_name="toy.yaml", every_s=0.05, **settings)


def arrived(folder: Path, name: str) -> list[str]:
    """The kinds of all runs in the store."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    return sorted(run.data.tags["searchplat.kind"] for run in found)


def process_of(sink: SearchSink) -> Any:
    return sink._process


def test_what_a_driver_writes_arrives_from_another_process(
    ledger: Ledger, tmp_path: Path, name: str, train: Train
) -> None:
    ledger.note("opened", {"resumed": False})
    sink = SearchSink(ledger, maker(tmp_path, name))
    sink.start(apart=True)
    sink.start(apart=True)
    assert process_of(sink).pid != os.getpid()
    for score in (0.3, 0.5, 0.4):
        train(score)
    until = time.monotonic() + 150
    while sink.backlog() and time.monotonic() < until:
        time.sleep(0.05)
    assert sink.backlog() == 0, "it sends while the driver runs"
    train(0.6)
    ledger.note("closed", {"state": "done"})
    assert sink.stop(30) == 0
    assert process_of(sink).returncode == 0
    assert arrived(tmp_path, name) == ["search", "trial", "trial", "trial", "trial"]


def test_what_a_dead_process_had_not_sent_is_sent_by_the_driver(
    ledger: Ledger, tmp_path: Path, name: str, train: Train
) -> None:
    sink = SearchSink(ledger, maker(tmp_path, name))
    sink.start(apart=True)
    train(0.3)
    os.kill(process_of(sink).pid, signal.SIGKILL)
    train(0.5)
    ledger.note("closed", {"state": "done"})
    assert sink.stop(60) == 0
    assert arrived(tmp_path, name) == ["search", "trial", "trial"]


def test_it_says_in_the_driver_why_rows_do_not_arrive(
    ledger: Ledger, tmp_path: Path, name: str, train: Train, caplog: pytest.LogCaptureFixture
) -> None:
    sink = SearchSink(ledger, maker(tmp_path, name, tracking_uri="http://127.0.0.1:1"))
    with caplog.at_level(logging.WARNING):
        sink.start(apart=True)
        train(0.3)
        until = time.monotonic() + 150
        while not caplog.text and time.monotonic() < until:
            time.sleep(0.05)
        assert sink.stop(30) > 0
    assert "MLflow at http://127.0.0.1:1 cannot be written" in caplog.text


DRIVER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_apart import maker
from searchplat.ledger import Ledger
from searchplat.tracking.sending.apart import SearchSink

sink = SearchSink(Ledger.open(Path({path!r})), maker(Path({tmp!r}), "killed"))
sink.start(apart=True)
print(sink._process.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.slow  # two processes that import MLflow
def test_it_ends_with_a_driver_that_is_killed(ledger: Ledger, tmp_path: Path) -> None:
    path = ledger.path
    ledger.close()
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(folder=str(Path(__file__).parent), path=str(path), tmp=str(tmp_path)))
    driver = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    pid = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    driver.stdout.close()
    until = time.monotonic() + 150
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_in_the_drivers_process_it_is_the_plain_sink(ledger: Ledger, tmp_path: Path, name: str, train: Train) -> None:
    sink = SearchSink(ledger, maker(tmp_path, name))
    sink.start()
    train(0.3)
    assert process_of(sink) is None
    assert sink.stop(30) == 0
    assert arrived(tmp_path, name) == ["search", "trial"]
