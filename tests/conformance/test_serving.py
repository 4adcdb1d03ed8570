"""What every method must keep to be registered: it answers histories, the same from every place it is loaded from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from method_cases import Bench, as_queries, scores

from searchplat.assets import AssetStore
from searchplat.contract import FinalJob, ListingMethod, Served, ServingMethod, TestPermit
from searchplat.firewall import ISSUER
from trials.data import open_final

HISTORIES = [[3, 8, 13], [0], [39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28]]


@pytest.fixture(scope="session")
def _trainings() -> dict[int, tuple[Bench, Path, Any]]:
    return {}


@pytest.fixture
def trained(
    bench: Bench, _trainings: dict[int, tuple[Bench, Path, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bench, Path, Any]:
    """A final training's folder, and the very model in it; made once a case, for who asks changes neither."""
    if id(bench) not in _trainings:
        folder = tmp_path_factory.mktemp("run")
        training = bench.method.start_final(FinalJob(bench.job(folder), "valid/mrr"))
        while not training.done:
            training.run_epoch()
            training.save()
        training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
        _trainings[id(bench)] = bench, folder, training.model
    return _trainings[id(bench)]


def names(bench: Bench) -> list[list[str | int]]:
    data = bench.start(Path("unused")).data
    return [[data.keys[item] for item in history] for history in HISTORIES]


def test_the_top_of_a_loaded_model_is_that_of_the_trained_one(trained: tuple[Bench, Path, Any], tmp_path: Path) -> None:
    bench, folder, model = trained
    method = bench.method
    assert isinstance(method, ServingMethod)
    method.pack(folder, tmp_path / "package", bench.assets)
    elsewhere = AssetStore(tmp_path / "empty")  # no prepared data
    wanted = scores(model, as_queries(HISTORIES, [-1] * 3)).numpy()
    for served in (method.load(folder, bench.assets), method.load(tmp_path / "package", elsewhere)):
        answers = served.top(names(bench), 10, exclude_history=False)
        for scores_N, answer in zip(wanted, answers, strict=True):
            best = np.argsort(-scores_N, kind="stable")[:10]
            np.testing.assert_allclose([one.score for one in answer], scores_N[best], rtol=1e-4, atol=1e-5)
            assert [one.item for one in answer] == [f"toy-{n}" for n in best]
    made = {path.name for path in (tmp_path / "empty" / "prepared").glob("*")}
    assert made <= {"item-states", "embeddings"}  # frozen models' own reading of the items, which no package holds


def test_lists_for_all_users_are_those_of_the_trained_model_in_its_test(trained: tuple[Bench, Path, Any]) -> None:
    bench, folder, model = trained
    assert isinstance(bench.method, ListingMethod)
    listing = bench.method.listing(folder, bench.assets)
    final = open_final(bench.request, bench.assets, TestPermit("s", 1, 1, ISSUER))
    assert len(listing.users) == final.search.num_users
    rows = final.test_rows
    wanted, queries = scores(model, replace(final.test_queries(), requests=None)).numpy(), final.test_queries()
    items_BK, scores_BK = listing.top(rows, 5, repeats=True)
    assert (np.diff(scores_BK, axis=1) <= 0).all()
    np.testing.assert_allclose(scores_BK, np.take_along_axis(wanted, items_BK, axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores_BK, -np.sort(-wanted, axis=1)[:, :5], rtol=1e-4, atol=1e-4)
    items_BK, _ = listing.top(rows, 5, repeats=False)
    assert not any({*items.tolist()} & {*queries.history(b).tolist()} for b, items in enumerate(items_BK))


def test_a_package_is_safetensors_and_json_and_holds_no_history(
    trained: tuple[Bench, Path, Any], tmp_path: Path
) -> None:
    bench, folder, _ = trained
    bench.method.pack(folder, tmp_path / "package", bench.assets)
    assert {path.name for path in (tmp_path / "package").iterdir()} == {"model.safetensors", "model.json", "items.json"}
    about = json.loads((tmp_path / "package" / "model.json").read_text())
    assert about["method"] == bench.case.method
    assert len(json.loads((tmp_path / "package" / "items.json").read_text())["titles"]) == 40


def test_an_answer_depends_on_its_own_history_and_leaves_it_out(trained: tuple[Bench, Path, Any]) -> None:
    bench, folder, _ = trained
    served: Served = bench.method.load(folder, bench.assets)
    asked = names(bench)
    together = served.top(asked, 40)
    for history, answer in zip(asked, together, strict=True):
        assert {one.item for one in answer} == {f"toy-{n}" for n in range(40)} - {*history}
        (alone,) = served.top([history], 40)
        np.testing.assert_allclose([one.score for one in alone], [one.score for one in answer], rtol=1e-4, atol=1e-5)
