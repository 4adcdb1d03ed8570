"""`searchplat predict` with a really trained model, from its folder and from a real registry."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, FinalJob, TestPermit, TrialJob, WarmCache
from searchplat.firewall import ISSUER
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
