"""A real registry: registered once whatever is repeated, and the same answers from a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, FinalJob, TestPermit, TrialJob, WarmCache
from searchplat.errors import InputError
from searchplat.firewall import ISSUER
from searchplat.ledger import Ledger
from searchplat.promotion.record import FINAL, FINISHED, Promotion, PromotionRun
from searchplat.tracking.registry.pack import fetch_package, load_package, register, register_winner
from searchplat.tracking.sending.promotion_runs import final_key
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect
from trials.sasrec import SASRec, SASRecConfig

HISTORY = ["toy-3", "toy-8", "toy-13"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHPLAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["SEARCHPLAT_CACHE"])


@pytest.fixture(scope="module")
def winner(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> PromotionRun:
    """A final run of SASRec on the toy data, really trained."""
    folder = tmp_path_factory.mktemp("final")
    config = SASRecConfig(epochs=2, hidden_size=8, inner_size=8, num_layers=1, num_heads=1)
    job = TrialJob(3, config, DataRequest("toy"), 1, folder, AssetStore(), WarmCache())
    training = SASRec().start_final(FinalJob(job, "valid/mrr"))
    while not training.done:
        training.run_epoch()
        training.save()
    tested = training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    return PromotionRun(
        candidate="trial-3", trial=3, control=None, method="sasrec", config=config.model_dump(mode="json"), seed=1,
        phase=FINAL, folder=folder, state=FINISHED, valid={"mrr": 0.1}, test=dict(tested.metrics), ranks=tested.ranks,
    )  # fmt: skip


@pytest.fixture
def promotion(name: str, winner: PromotionRun) -> Promotion:
    return Promotion(
        search=name, number=1, data="toy", data_options={}, data_fingerprint="f", num_users=60, metrics=("mrr",),
        search_scores={}, lineage={}, test_openings=1, runs=(winner,),
    )  # fmt: skip


def trained_top(winner: PromotionRun) -> list[str]:
    (answer,) = SASRec().load(winner.folder, AssetStore()).top([HISTORY], 10)
    return [one.item for one in answer]


def test_a_winner_is_registered_once_with_tags_and_alias(
    promotion: Promotion, winner: PromotionRun, store: str, mlflow: Any
) -> None:
    first = register(promotion, winner, search_id="id-1", tracking_uri=store)
    again = register(promotion, winner, search_id="id-1", tracking_uri=store)
    assert (first.version, first.created, first.uri) == ("1", True, f"models:/{promotion.search}/1")
    assert (again.version, again.created) == ("1", False)
    version = mlflow.get_model_version_by_alias(promotion.search, "champion")
    assert str(version.version) == "1"
    assert version.tags["searchplat.candidate"] == "trial-3"
    assert version.tags["searchplat.promotion"] == "1"
    assert "Test: mrr 0." in version.description


def test_the_files_go_to_the_winners_own_run_and_hold_no_pickle(
    promotion: Promotion, winner: PromotionRun, store: str, mlflow: Any, tmp_path: Path
) -> None:
    experiment = mlflow.create_experiment(promotion.search, artifact_location=(tmp_path / "artifacts").as_uri())
    run = mlflow.create_run(experiment)
    register(promotion, winner, search_id="id-1", tracking_uri=store, run_id=run.info.run_id)
    files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".py", ".txt", ".yaml", ".yml", ""}
    assert {path.name for path in files if not path.suffix} <= {"MLmodel"}
    package = fetch_package(f"models:/{promotion.search}@champion", store, tmp_path / "here")
    (answer,) = load_package(package, AssetStore(tmp_path / "empty")).top([HISTORY], 10)
    assert [one.item for one in answer] == trained_top(winner)


def test_what_a_killed_call_left_behind_is_completed(
    promotion: Promotion, winner: PromotionRun, store: str, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("create_model_version", "set_registered_model_alias", "set_model_version_tag"):
        with monkeypatch.context() as patch:
            patch.setattr(f"mlflow.MlflowClient.{step}", killed)
            with pytest.raises(KeyboardInterrupt):
                register(promotion, winner, search_id="id-1", tracking_uri=store)
    register(promotion, winner, search_id="id-1", tracking_uri=store)
    assert [str(v.version) for v in mlflow.search_model_versions(f"name = '{promotion.search}'")] == ["1"]
    assert str(mlflow.get_model_version_by_alias(promotion.search, "champion").version) == "1"
    experiment = mlflow.get_experiment_by_name(promotion.search).experiment_id
    assert len(mlflow.search_runs([experiment])) == 1


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_newer_promotion_takes_the_alias_and_people_may_give_it_back(
    promotion: Promotion, winner: PromotionRun, store: str, mlflow: Any
) -> None:
    second = replace(promotion, number=2)
    for one in (promotion, second):
        register(one, winner, search_id="id-1", tracking_uri=store)
    assert str(mlflow.get_model_version_by_alias(promotion.search, "champion").version) == "2"
    mlflow.set_registered_model_alias(promotion.search, "champion", "1")
    register(second, winner, search_id="id-1", tracking_uri=store)
    assert str(mlflow.get_model_version_by_alias(promotion.search, "champion").version) == "1"


def test_a_promotion_that_has_another_winner_when_it_is_gone_on_with_has_another_champion(
    promotion: Promotion, winner: PromotionRun, store: str, mlflow: Any
) -> None:
    register(promotion, winner, search_id="id-1", tracking_uri=store)
    register(promotion, replace(winner, seed=2), search_id="id-1", tracking_uri=store)
    version = mlflow.get_model_version_by_alias(promotion.search, "champion")
    assert (str(version.version), version.tags["searchplat.seed"]) == ("2", "2")


def test_another_search_of_the_same_name_is_another_version(
    promotion: Promotion, winner: PromotionRun, store: str
) -> None:
    versions = [register(promotion, winner, search_id=i, tracking_uri=store).version for i in ("id-1", "id-2")]
    assert versions == ["1", "2"]


def test_a_method_that_cannot_be_served_is_refused(promotion: Promotion, winner: PromotionRun, store: str) -> None:
    with pytest.raises(InputError, match="method 'rehearsal' cannot be registered"):
        register(promotion, replace(winner, method="rehearsal"), search_id="id-1", tracking_uri=store)


def test_a_promotions_winner_is_registered_with_the_run_that_the_ledger_knows(
    promotion: Promotion,
    winner: PromotionRun,
    store: str,
    mlflow: Any,
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert register_winner(ledger, promotion, store) is None
    assert "MLflow has not got the winner's run yet" in caplog.text
    run = mlflow.create_run(mlflow.create_experiment(promotion.search)).info.run_id
    ledger.set_meta("search_id", "id-1")
    ledger.set_sink_run("mlflow", final_key(promotion, winner), run)
    made = register_winner(ledger, promotion, store)
    assert made is not None
    assert mlflow.get_model_version(made.name, made.version).run_id == run
    assert register_winner(ledger, replace(promotion, runs=()), store) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [({"method": "rehearsal"}, "has no `pack` and `load`"), ({"folder": Path("gone")}, "could not be registered")],
)
def test_what_hinders_registration_does_not_hinder_promotion(
    promotion: Promotion, winner: PromotionRun, store: str, ledger: Ledger, caplog: pytest.LogCaptureFixture,
    change: dict[str, Any], message: str,
) -> None:  # fmt: skip
    changed = replace(winner, **change)
    ledger.set_meta("search_id", "id-1")
    ledger.set_sink_run("mlflow", final_key(promotion, changed), "unknown")
    assert register_winner(ledger, replace(promotion, runs=(changed,)), store) is None
    assert message in caplog.text


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/nobody@champion", "'models:/nobody@champion' is not registered"),
        ("models:/{name}/9", "is not registered at"),
        ("models:/{name}", "must have the form models:/NAME@ALIAS or models:/NAME/VERSION"),
    ],
)
def test_what_is_not_registered_is_said(
    promotion: Promotion, winner: PromotionRun, store: str, tmp_path: Path, uri: str, message: str
) -> None:
    register(promotion, winner, search_id="id-1", tracking_uri=store)
    with pytest.raises(InputError, match=message):
        fetch_package(uri.format(name=promotion.search), store, tmp_path)


def test_the_model_of_a_project_that_was_moved(
    promotion: Promotion, winner: PromotionRun, copy_store: Callable[[Path], str], tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    register(promotion, winner, search_id="id-1", tracking_uri=copy_store(old))
    shutil.copytree(old, new)  # a copy: the original is still there, and is not what is asked
    uri, champion = f"sqlite:///{new}/mlflow.db", f"models:/{promotion.search}@champion"

    assert fetch_package(champion, uri, tmp_path / "unused").is_relative_to(new / "mlruns")
    before = sorted(old.rglob("*"))
    with pytest.raises(
        InputError, match=rf"was moved: .* in {old}/mlruns, .* so none were sent. .* fill a new store: "
    ):
        register(replace(promotion, number=2), winner, search_id="id-1", tracking_uri=uri)
    assert sorted(old.rglob("*")) == before

    shutil.rmtree(old)
    assert load_package(fetch_package(champion, uri, tmp_path / "unused"), AssetStore()).top([HISTORY], 1)
    shutil.rmtree(new / "mlruns")
    with pytest.raises(
        InputError,
        match=rf"{champion}: .* says that it lies at {old}/mlruns/.*, but it is not there; copy that mlruns/",
    ):
        fetch_package(champion, uri, tmp_path / "unused")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        fetch_package("models:/x@champion", f"sqlite:///{tmp_path}/none.db", tmp_path)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.timeout(280)
def test_mlflow_predicts_the_same_in_a_process_of_its_own(
    promotion: Promotion, winner: PromotionRun, store: str, tmp_path: Path
) -> None:
    register(promotion, winner, search_id="id-1", tracking_uri=store)
    (tmp_path / "in.json").write_text(json.dumps({"dataframe_records": [{"history": HISTORY}], "params": {"k": 10}}))
    done = subprocess.run(
        [
            sys.executable, "-m", "mlflow", "models", "predict", "--env-manager", "local", "--content-type", "json",
            "--model-uri", f"models:/{promotion.search}@champion",
            "--input-path", str(tmp_path / "in.json"), "--output-path", str(tmp_path / "out.json"),
        ],
        env={**os.environ, "MLFLOW_TRACKING_URI": store},
        capture_output=True,
        text=True,
        timeout=270,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (answer,) = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert answer["items"] == trained_top(winner)
    assert len(answer["titles"]) == len(answer["scores"]) == 10


@pytest.mark.slow
def test_mlflow_serves_it_from_a_process_of_its_own(promotion: Promotion, winner: PromotionRun, store: str) -> None:
    register(promotion, winner, search_id="id-1", tracking_uri=store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", str(port),
            "--model-uri", f"models:/{promotion.search}@champion",
        ],
        # As in an activated environment: MLflow finds uvicorn on the path.
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": store,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        start_new_session=True,
    )  # fmt: skip
    try:
        body = json.dumps({"dataframe_records": [{"history": HISTORY}], "params": {"k": 10}}).encode()
        answer = json.loads(ask(f"http://127.0.0.1:{port}/invocations", body, server))["predictions"][0]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    assert answer["items"] == trained_top(winner)


def ask(url: str, body: bytes, server: subprocess.Popen[bytes], patience_s: float = 90) -> bytes:
    """The answer of a server that may still be starting."""
    until = time.monotonic() + patience_s
    while True:
        try:
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as response:
                content: bytes = response.read()
                return content
        except ConnectionError:
            refused = True
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        except urllib.error.URLError as error:
            refused = isinstance(error.reason, ConnectionError)
        assert refused
        assert server.poll() is None
        assert time.monotonic() < until
        time.sleep(0.5)


def test_the_model_loads_as_a_pyfunc_with_its_parameters(
    promotion: Promotion, winner: PromotionRun, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    made = register(promotion, winner, search_id="id-1", tracking_uri=store)
    connect(Address.parse(store))
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    try:
        model = mlflow.pyfunc.load_model(made.uri)
        table = pd.DataFrame({"history": [HISTORY, ["toy-0"]]})
        found = model.predict(table, params={"k": 40, "exclude_history": False})
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    assert [len(row) for row in found["items"]] == [40, 40]
    assert list(found.columns) == ["items", "titles", "scores"]
