"""`searchplat predict` with a really trained model, from its folder and from a real registry."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, FinalJob, TestPermit, TrialJob, WarmCache
from searchplat.engine.promotion_runs.messages import Assignment, MayTest, PromotionMessage
from searchplat.engine.promotion_runs.run import final_run
from searchplat.engine.worker.order import Order
from searchplat.firewall import ISSUER
from searchplat.methods import imports
from searchplat.promotion.record import FINAL, FINISHED, Promotion, PromotionRun
from searchplat.tracking.registry.pack import register
from trials.baselines import Popularity, PopularityConfig

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a final training of popularity on the toy data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHPLAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        run = tmp_path_factory.mktemp("run")
        job = TrialJob(None, PopularityConfig(), DataRequest("toy"), 1, run, AssetStore(), WarmCache())
        training = Popularity().start_final(FinalJob(job, "valid/mrr"))
        training.run_epoch()
        training.save()
        training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
        yield run


def test_from_a_folder(cli: Run, folder: Path) -> None:
    done = cli("predict", str(folder), "--history", "toy-3", "--history", "toy-8", "--top", "3")
    assert done.exit_code == 0, done.output
    lines = done.output.rstrip().split("\n")
    assert lines[0].split() == ["id", "title", "score"]
    assert len(lines) == 4
    assert lines[1].split()[0] == "1"


def test_ids_and_titles_mean_the_same_and_repeats_are_shown_on_demand(cli: Run, folder: Path) -> None:
    first = json.loads(cli("predict", str(folder), "--top", "40", "--json").output)
    assert len(first) == 40
    best = first[0]
    by_id = json.loads(cli("predict", str(folder), "--history", best["item"], "--json").output)
    by_title = json.loads(cli("predict", str(folder), "--history", best["title"].upper(), "--json").output)
    assert by_id == by_title == first[1:11]
    again = cli("predict", str(folder), "--history", best["item"], "--repeats", "--json").output
    assert json.loads(again) == first[:10]


def test_from_the_registry_by_alias_version_and_name(
    cli: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = PromotionRun(
        candidate="popularity", trial=0, control=None, method="popularity", config={}, seed=1, phase=FINAL,
        folder=folder, state=FINISHED,
    )  # fmt: skip
    promotion = Promotion(
        search="quick", number=1, data="toy", data_options={}, data_fingerprint="f", num_users=60, metrics=("mrr",),
        search_scores={}, lineage={}, test_openings=1, runs=(run,),
    )  # fmt: skip
    uri = f"sqlite:///{tmp_path}/store.db"
    register(promotion, run, search_id="i", tracking_uri=uri)
    wanted = cli("predict", str(folder), "--history", "toy-1").output
    for model in ("models:/quick@champion", "models:/quick/1", "quick"):
        assert cli("predict", model, "--history", "toy-1", "--tracking-uri", uri).output == wanted
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert cli("predict", "quick", "--history", "toy-1").output == wanted
    refused = cli("predict", "slow", "--history", "toy-1")
    assert refused.exit_code == 2
    assert "'models:/slow@champion' is not registered" in refused.output
    assert "registered are: quick" in refused.output


OWN = """
from pathlib import Path
from trials.baselines import Popularity

Path(__file__).with_name("ran").touch()

class Own(Popularity):
    name = "popularity"  # also that of an installed method, for which it must not be taken
"""


def test_a_model_of_code_is_asked_with_leave_alone(
    cli: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"  # not the working directory
    code.mkdir()
    (code / "own_method.py").write_text(OWN)
    model, ran = tmp_path / "model", code / "ran"

    def permit(message: PromotionMessage) -> TestPermit | None:
        return TestPermit("s", 1, 1, ISSUER) if isinstance(message, MayTest) else None

    with monkeypatch.context() as patch, imports():
        patch.syspath_prepend(str(code))
        order = Order(1, "own_method:Own", PopularityConfig().model_dump(), "toy", {}, 1.0, 0, 1, str(model))
        work = Assignment(("final", "c", 1), order, True, "valid/mrr", True, 5, ("mrr",))
        final_run(work, WarmCache(), "cpu", 0, 1, permit, permit)
    assert ran.exists()
    ran.unlink()
    sys.modules.pop("own_method")
    lists = ("--all", "--out", str(tmp_path / "lists.csv"))
    for words in (("--history", "toy-1"), lists):
        refused = cli("predict", str(model), *words)
        assert refused.exit_code == 2, refused.output
        assert "method 'own_method:Own' is not an installed one but names code to run" in refused.output
        assert "give --allow-import" in refused.output
    absent = cli("predict", str(model), "--history", "toy-1", "--allow-import")
    assert absent.exit_code == 2, absent.output
    assert "its folder must be on PYTHONPATH" in absent.output
    monkeypatch.syspath_prepend(str(code))
    assert cli("predict", str(model), "--history", "toy-1").exit_code == 2
    assert not ran.exists()
    done = cli("predict", str(model), "--history", "toy-1", "--allow-import")
    assert done.exit_code == 0, done.output
    assert ran.exists()
    assert done.output == cli("predict", str(folder), "--history", "toy-1").output
    assert cli("predict", str(model), *lists, "--allow-import").exit_code == 0


def test_what_is_wrong_is_said_in_a_sentence(cli: Run, folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    os.mkdir(empty)
    for words, message in [
        (("predict", str(folder), "--history", "nothing like it"), "is neither an id nor a title of the 40 items"),
        (("predict", str(empty)), "holds no trained model"),
        (("predict", "unknown"), "there is no such file; give the tracking URI"),
    ]:
        done = cli(*words)
        assert done.exit_code == 2, done.output
        assert message in done.output
