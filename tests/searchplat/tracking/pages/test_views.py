"""The views of a search in MLflow's pages: stored as its tags, and drawn by its server in a real browser."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from typing import Any

import pytest

from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective
from searchplat.tracking import MlflowSink
from searchplat.tracking.pages.views import STAGES, TRIALS, view_address, view_tags
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.server import serving

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)


def test_a_view_sorts_by_the_first_objective_and_shows_what_was_searched() -> None:
    tags = view_tags([Objective("valid/ndcg@10", False)], ["lr", "a@b"], layout=False)
    view = json.loads(tags["mlflow.sharedViewState.trials"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`best/valid/ndcg_at_10`", True)
    assert view["selectedColumns"][-2:] == ["params.`lr`", "params.`a_at_b`"]
    assert "tags.`searchplat.layout`" not in view["selectedColumns"]
    assert json.loads(tags["mlflow.sharedViewState.stages"])["groupBy"]["aggregateFunction"] == "min"


def test_the_list_has_the_trials_that_compare_and_several_objectives_a_view_of_their_front() -> None:
    both = [Objective("valid/mrr", True), Objective("valid/loss", False)]
    for objectives in (both[:1], both):
        tags = view_tags(objectives, [], layout=False, share=0.2)
        views = {key.rpartition(".")[2]: json.loads(view) for key, view in tags.items()}
        assert views["trials"]["searchFilter"] == "tags.`searchplat.kind` = 'trial' and params.`data_fraction` = '0.2'"
        assert views["stages"]["searchFilter"] == "tags.`searchplat.kind` = 'trial'"
        assert ("front" in views) == (len(objectives) > 1)
    assert views["front"]["searchFilter"] == "tags.`searchplat.kind` = 'trial' and tags.`searchplat.front` = 'yes'"
    assert "tags.`searchplat.front`" in views["front"]["selectedColumns"]


def test_a_wide_space_does_not_make_a_table_without_end() -> None:
    view = json.loads(
        view_tags([Objective("m", True)], [f"p{i}" for i in range(300)], True)["mlflow.sharedViewState.trials"]
    )
    assert "params.`p11`" in view["selectedColumns"]
    assert "params.`p12`" not in view["selectedColumns"]


def test_a_search_carries_its_views_and_their_addresses_name_them(
    new_sink: Callable[..., MlflowSink], train: Callable[..., int], mlflow: Any, name: str
) -> None:
    train(0.5)
    assert new_sink(parameters=["lr"]).flush(60) == 0
    experiment = mlflow.get_experiment_by_name(name)
    assert "params.`lr`" in experiment.tags["mlflow.sharedViewState.trials"]
    page = f"http://h:1/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    assert (
        view_address("http://h:1", experiment.experiment_id, experiment.tags, TRIALS)
        == f"{page}&viewStateShareKey=trials"
    )
    assert view_address("http://h:1", experiment.experiment_id, {}, STAGES) == page


@pytest.mark.slow  # starts a server and a browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")
def test_mlflow_draws_the_views(
    new_sink: Callable[..., MlflowSink], train: Callable[..., int], mlflow: Any, store: str, name: str
) -> None:
    from playwright.sync_api import expect, sync_playwright

    for value, stage in ((0.2, "layout"), (0.9, "layout"), (0.5, "weights")):
        train(value, stage=stage)
    train(0.7, TrialState.FINISHED, stage="controls", control="default")
    assert new_sink(parameters=["lr"]).flush(60) == 0
    experiment = mlflow.get_experiment_by_name(name)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    with serving(Address.parse(store), port), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        server = f"http://127.0.0.1:{port}"
        page.goto(view_address(server, experiment.experiment_id, experiment.tags, TRIALS))
        expect(page.get_by_role("link", name="trial-0001 layout")).to_be_visible()
        names = page.get_by_role("link", name="-").all_inner_texts()
        shown = [text for text in names if text.startswith(("trial-", "control-"))]
        assert shown == ["trial-0001 layout", "control-default", "trial-0002 weights", "trial-0000 layout"]
        expect(page.get_by_text("best/valid/mrr").first).to_be_visible()
        expect(page.get_by_text("searchplat.layout").first).to_be_visible()
        page.goto(view_address(server, experiment.experiment_id, experiment.tags, STAGES))
        for stage in ("layout", "weights", "controls"):
            expect(page.get_by_text(f"Group: {stage}")).to_be_visible()
        browser.close()
