"""Where MLflow is, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

from searchplat.errors import InputError
from searchplat.tracking.store.address import DEFAULT_TRACKING_URI, Address, redact


def test_a_relative_sqlite_file_stays_where_it_was_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = Address.parse(DEFAULT_TRACKING_URI)
    assert where.sqlite == tmp_path / "mlflow.db"
    assert where.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert not where.remote


def test_an_absolute_sqlite_file_keeps_its_place_and_options() -> None:
    where = Address.parse("sqlite:////data/runs.db?timeout=5")
    assert where.sqlite == Path("/data/runs.db")
    assert where.uri == "sqlite:////data/runs.db?timeout=5"


@pytest.mark.parametrize("uri", ["http://host:5000", "https://host/mlflow", "databricks", "databricks://profile"])
def test_servers_are_remote(uri: str) -> None:
    assert Address.parse(uri).remote


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/mlruns", "", "sqlite:///:memory:"])
def test_a_folder_or_a_database_in_memory_is_refused_with_a_remedy(uri: str) -> None:
    with pytest.raises(InputError, match=r"tracking URI .*sqlite:///mlflow\.db"):
        Address.parse(uri)


def test_a_store_that_mlflow_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"tracking URI 'foo://\*\*\*@bar': MLflow has no store for foo://"):
        Address.parse("foo://ann:pa55@bar")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql+psycopg2://db/mlflow",
        "mysql://db/mlflow",
        "mssql+pyodbc://db/mlflow",
        "https://h",
        "databricks-uc:x",
    ],
)
def test_mlflow_itself_has_the_stores_that_are_let_through(uri: str) -> None:
    Address.parse(uri)
    try:
        MlflowClient(tracking_uri=uri, registry_uri=uri)
    except UnsupportedModelRegistryStoreURIException:
        pytest.fail(f"MLflow has no store for {uri}")
    except Exception:  # nobody answers there, or the driver is not installed
        pass


def test_a_plugins_store_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mlflow.tracking_store]\nfoo = plugin:Store\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Address.parse("foo://bar").uri == "foo://bar"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:pa55@host:5000/x", "https://***@host:5000/x"),
        ("https://token@host", "https://***@host"),
        ("mysql+pymysql://ann:p%40ss@db/mlflow", "mysql+pymysql://***@db/mlflow"),
        ("postgresql://ann:p@ss@db/mlflow", "postgresql://***@db/mlflow"),
        ("http://host/?user=ann&access_token=abc&x=1", "http://host/?user=ann&access_token=***&x=1"),
        ("failed: https://a:b@h and https://c:d@i!", "failed: https://***@h and https://***@i!"),
        ("mail ann@example.org about https://host/path@2", "mail ann@example.org about https://host/path@2"),
    ],
)
def test_redact_hides_the_user_part_and_secret_options_of_every_url(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_neither_repr_nor_shown_has_the_password() -> None:
    where = Address.parse("https://ann:pa55@host")
    assert "pa55" in where.uri
    assert "pa55" not in repr(where) + where.shown
