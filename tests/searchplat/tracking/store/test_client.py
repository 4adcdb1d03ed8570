"""Opening MLflow: fresh files, quiet, impatient."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import hushed, hushed_here, impatient

OPENER = """
import sys, time
from pathlib import Path
from searchplat.ledger import Ledger
from searchplat.spec.model import Objective
from searchplat.tracking import MlflowSink
from searchplat.tracking.store import client
from searchplat.tracking.store import address

folder, uri, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
client.load(address.Address.parse(uri))  # the slow imports first, so that the openings meet
(folder / f"{name}.ready").touch()
while not (folder / "go").exists():
    time.sleep(0.005)
with Ledger.create(folder / f"{name}.sqlite", {}, [Objective("valid/mrr", True)]) as ledger:
    ledger.note("opened")
    sink = MlflowSink(ledger, experiment=name, tracking_uri=uri, space_text="", space_name="x.yaml")
    sink.start()
    left = sink.stop(60)
    print(left, sink.last_error)
    sys.exit(left)
"""


def test_processes_that_open_a_fresh_store_at_once_all_succeed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    names = ["one", "two"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(tmp_path), uri, name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    while not all((tmp_path / f"{name}.ready").exists() for name in names):
        assert all(process.poll() is None for process in processes)
        threading.Event().wait(0.02)
    (tmp_path / "go").touch()
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert (process.returncode, out.strip()) == (0, "0 None"), err
        assert err == "", "opening a store is quiet"


def test_http_calls_give_up_after_seconds_but_what_the_user_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    with impatient(Address.parse("http://host")):
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    with impatient(Address.parse("sqlite:///x.db")):
        assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_only_the_named_loggers_are_hushed_and_only_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        with hushed("loud.one"):
            logging.getLogger("loud.one").info("hidden")
            logging.getLogger("loud.one").warning("a warning")
            logging.getLogger("loud.two").info("another's")
        logging.getLogger("loud.one").info("afterwards")
    assert caplog.messages == ["a warning", "another's", "afterwards"]


def test_warnings_of_one_thread_are_hushed_and_those_of_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    def other() -> None:
        logging.getLogger("loud.three").warning("from another thread")

    with hushed_here("loud.three"):
        logging.getLogger("loud.three").warning("hidden")
        logging.getLogger("loud.three").error("an error")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert caplog.messages == ["an error", "from another thread"]
