"""What runs as a search cannot reach test items; promotion can, and is counted."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import numpy as np
import pytest
from searches import one_stage, rehearsal_spec

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TestPermit
from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.engine.without_ray.run_one import run_one
from searchplat.errors import SearchFailedError, TestSplitError
from searchplat.firewall import ISSUER, is_sealed, sealed
from searchplat.ledger import Ledger
from searchplat.promotion.permit import open_test
from searchplat.promotion.record import FINAL, RACE, PromotionRun, PromotionStore, openings
from searchplat.spec.model import Objective
from trials.data import FinalData, open_final, open_search, prepare

ROOT = Path(__file__).parents[2]
TOY = DataRequest("toy")


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssetStore:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    return AssetStore()


@pytest.fixture
def targets(assets: AssetStore) -> Path:
    return prepare(TOY, assets) / "test.npy"


def test_within_a_trial_no_way_leads_to_test_items(assets: AssetStore, targets: Path, tmp_path: Path) -> None:
    permit = TestPermit("s", 1, 1, ISSUER)
    with sealed():
        open_search(TOY, assets)
        for reach in (
            lambda: TestPermit("s", 1, 1, ISSUER),
            lambda: open_final(TOY, assets, permit),
            lambda: np.load(targets),
            lambda: np.load(targets, mmap_mode="r"),
            lambda: np.fromfile(str(targets)),
            lambda: targets.read_bytes(),
            lambda: os.open(targets, os.O_RDONLY),
            lambda: os.link(targets, tmp_path / "harmless.npy"),
            lambda: os.symlink(targets, tmp_path / "harmless.npy"),
            lambda: targets.rename(tmp_path / "harmless.npy"),
        ):
            with pytest.raises(TestSplitError, match=r"a trial cannot .*; measure on validation"):
                reach()
    assert not is_sealed()
    assert len(open_final(TOY, assets, permit).test_target_U) == len(np.load(targets))


def test_within_a_trial_no_way_leads_to_what_was_asked_before_test_items(assets: AssetStore) -> None:
    folder = prepare(DataRequest("toy", {"requests": True}), assets)
    found = sorted(path.name for path in folder.glob("test*"))
    assert found == ["test.npy", "test_requests.blob.npy", "test_requests.offsets.npy"]
    with sealed():
        for name in found:
            with pytest.raises(TestSplitError, match="a trial cannot open"):
                np.load(folder / name, mmap_mode="r")


def test_data_may_be_prepared_within_a_trial_on_a_node_that_has_none(assets: AssetStore) -> None:
    with sealed():
        assert (prepare(TOY, assets) / "meta.json").exists()


def test_the_type_with_the_test_split_asks_for_a_permit_and_a_permit_for_promotion(assets: AssetStore) -> None:
    search = open_search(TOY, assets)
    with pytest.raises(TestSplitError, match="made by promotion alone"):
        TestPermit("s", 1, 1, object())
    with pytest.raises(TestSplitError, match="opened with promotion's permit, got None"):
        FinalData(search, search.valid_target_U, None)  # type: ignore[arg-type]
    with pytest.raises(TestSplitError, match="opened with promotion's permit, got 'please'"):
        open_final(TOY, assets, "please")  # type: ignore[arg-type]


def test_nobody_but_promotion_makes_permits() -> None:
    """Read from the source: who names the issuer or calls the constructor."""
    found = set()
    for path in [*(ROOT / "searchplat").rglob("*.py"), *(ROOT / "trials").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("TestPermit")
            named = isinstance(node, (ast.Name, ast.Attribute, ast.alias)) and "ISSUER" in ast.unparse(node)
            if called or named:
                found.add(path.relative_to(ROOT).as_posix())
    assert found == {"searchplat/firewall.py", "searchplat/promotion/permit.py"}


def test_a_configuration_that_peeks_ends_as_a_bug_in_this_process(targets: Path) -> None:
    spec = one_stage(rehearsal_spec({"peek": str(targets)}), trials=1)
    with pytest.raises(SearchFailedError, match=r"a trial cannot open .*test\.npy; measure on validation"):
        run_one(spec, {"x": 0.5})


@pytest.mark.slow
def test_a_search_that_peeks_ends_as_a_bug_on_ray(targets: Path, tmp_path: Path) -> None:
    spec = one_stage(rehearsal_spec({"peek": str(targets)}), trials=1)
    outcome = run_search(
        spec, name="peeking", places=Places(runs=tmp_path / "runs", tracking_uri=f"sqlite:///{tmp_path}/m.db")
    )
    assert outcome.state == "failed"
    assert "a trial cannot open" in outcome.message
    assert "TestSplitError" in outcome.message


def test_every_permit_is_counted_before_it_is_given_and_a_race_gets_none(tmp_path: Path) -> None:
    run = PromotionRun("trial-1", 1, None, "m", {}, 1, FINAL, tmp_path)
    with Ledger.create(tmp_path / "l.sqlite", {}, [Objective("valid/mrr", True)]) as ledger:
        store = PromotionStore(ledger, tmp_path)
        assert open_test(store, "s", 1, run) == TestPermit("s", 1, 1, ISSUER)
        assert open_test(store, "s", 2, run).opening == 2
        with pytest.raises(ValueError, match="opened for final runs, got one of the phase 'race'"):
            open_test(store, "s", 1, PromotionRun("trial-1", 1, None, "m", {}, 1, RACE, tmp_path))
        assert openings(ledger) == 2
