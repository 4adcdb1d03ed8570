from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from searches import rehearsal_spec

from searchplat.assets import AssetStore
from searchplat.ledger import Ledger, lineage
from searchplat.spec.model import DataSpec, PromotionSpec
from searchplat.spec.model import Resources as SpecResources


@pytest.fixture
def assets(tmp_path: Path) -> AssetStore:
    return AssetStore(tmp_path / "cache")


def test_equal_searches_have_equal_lineages_wherever_and_however_fast_they_run(assets: AssetStore) -> None:
    spec = rehearsal_spec()
    first = lineage.now(spec, assets)
    assert {"space", "data", "code", "python", "torch"} <= set(first)
    elsewhere = replace(spec, resources=SpecResources(cpu=2), promotion=PromotionSpec(top=9), source=Path("x.yaml"))
    assert lineage.now(elsewhere, assets) == first


def test_another_space_another_data_set_another_code_change_their_hash_alone(
    assets: AssetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = rehearsal_spec()
    first = lineage.now(spec, assets)

    def changed(second: dict[str, str]) -> set[str]:
        return {name for name in first if first[name] != second[name]}

    assert changed(lineage.now(replace(spec, seed=5), assets)) == {"space"}
    assert changed(lineage.now(replace(spec, data=DataSpec("toy", {"users": 30})), assets)) == {"space", "data"}
    module = tmp_path / "rehearsal.py"
    module.write_text(Path(str(sys.modules["rehearsal"].__file__)).read_text() + "\n# changed\n")
    monkeypatch.setattr(sys.modules["rehearsal"], "__file__", str(module))
    assert changed(lineage.now(spec, assets)) == {"code"}


def test_a_search_remembers_every_lineage_that_it_ran_under(tmp_path: Path) -> None:
    spec = rehearsal_spec()
    with Ledger.create(tmp_path / "l.sqlite", {}, spec.objectives) as ledger:
        assert lineage.recorded(ledger) == []
        for one in ({"data": "a"}, {"data": "a"}, {"data": "b"}):
            lineage.record(ledger, one)
        assert lineage.recorded(ledger) == [{"data": "a"}, {"data": "b"}]
        assert lineage.changes(lineage.recorded(ledger), {"data": "b"}) == ["data: a then, b now"]
