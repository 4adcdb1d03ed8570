"""The files of a store whose folder was moved: written nowhere, and what a search has is sent all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.tracking import MlflowSink
from searchplat.tracking.pages.attachments import attach
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect
from searchplat.tracking.store.files import found_here, moved


def test_rows_are_sent_and_files_are_not(
    copy_store: Callable[[Path], str], name: str, tmp_path: Path, ledger: Ledger, new_sink: Callable[..., MlflowSink],
    train: Callable[..., int], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    old, new = tmp_path / "old", tmp_path / "new"
    uri = copy_store(old)
    train(0.3)
    first = new_sink(uri)
    assert first.flush(30) == first.stop(30) == 0
    report = tmp_path / "report.html"
    report.touch()
    attach(uri, name, report)
    old.rename(new)
    train(0.4)

    with caplog.at_level(logging.WARNING):
        assert new_sink(f"sqlite:///{new}/mlflow.db").flush(30) == 0
    assert "MLflow was sent no files, as its store was moved" in caplog.text
    with pytest.raises(InputError, match=f"this store was moved: it records the files of '{name}' in {old}/mlruns"):
        attach(f"sqlite:///{new}/mlflow.db", name, report)

    assert not old.exists()
    client = connect(Address.parse(f"sqlite:///{new}/mlflow.db"))
    experiment = client.get_experiment_by_name(name)
    kind = "tags.`searchplat.kind` = 'trial'"
    assert len(client.search_runs([experiment.experiment_id], kind)) == len(ledger.trials()) == 2


@pytest.mark.parametrize(
    "location",
    [
        "file:///data/p/mlruns/first", "/data/p/mlruns/first", "file:///big%20disk/first", "s3://bucket/mlruns/first",
        "mlflow-artifacts:/7", "file:///link/mlruns/first",
    ],
)  # fmt: skip
def test_a_store_is_not_taken_for_moved(location: str, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "p")
    location = location.replace("/data", str(tmp_path)).replace("/link", f"{tmp_path}/link")
    experiment = SimpleNamespace(name="first", artifact_location=location)
    assert moved(Address.parse(f"sqlite:///{tmp_path}/p/mlflow.db"), experiment) is None
    assert moved(Address.parse("http://host:5000"), experiment) is None


def test_what_lies_in_difficult_folders_is_found(tmp_path: Path) -> None:
    here = tmp_path / "mlruns" / "what?" / "mlruns" / "a b" / "model"
    here.mkdir(parents=True)
    where = Address.parse(f"sqlite:///{tmp_path}/mlruns/what%3F/mlflow.db")
    assert found_here(where, here.as_uri(), "models:/x/1") == here
    assert found_here(where, "file:///elsewhere/mlruns/a%20b/model", "models:/x/1") == here
    assert found_here(where, "s3://bucket/mlruns/a%20b/model", "models:/x/1") is None
