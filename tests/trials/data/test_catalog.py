"""The data sets as the platform sees them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from searchplat.contract import AssetSource
from searchplat.methods import dataset_names, load_dataset
from trials.data import catalog, catalog_amazon
from trials.data.catalog import GROUPLENS, ML_1M, ML_10M, ML_20M, ML_100K, ML_LATEST_SMALL, SCIENTIFIC, TOY
from trials.data.source import Source

AMAZON = [found for found in vars(catalog_amazon).values() if isinstance(found, Source)]
ALL = [found for found in vars(catalog).values() if isinstance(found, Source)] + AMAZON


def test_entry_points_lead_to_these() -> None:
    assert len(ALL) == len({source.name for source in ALL}) == 20
    for source in ALL:
        assert source.name in dataset_names()
        assert load_dataset(source.name) is source
        assert source.summary
        assert source.where


def test_terms_are_stated() -> None:
    for source in (ML_100K, ML_LATEST_SMALL, ML_1M, ML_10M, ML_20M):
        assert GROUPLENS in source.where
    for source in (SCIENTIFIC, *AMAZON):
        assert "do not redistribute" in source.where


def test_options_of_data_sets_and_papers_are_options() -> None:
    for source in ALL:
        source.parse({})
        for size in source.published:
            source.parse(size.options)
            assert size.source
            assert size.users or size.items


@pytest.mark.parametrize("source", AMAZON, ids=lambda source: source.name)
def test_amazons_names_say_category_and_edition(source: Source) -> None:
    edition = source.name.rpartition("-")[2]
    assert edition in source.summary
    assert source.packed
    assert source.published
    for name in source.file_names:
        assert f"{name}.gz" in source.where


def test_the_papers_tables_say_whether_what_a_user_has_met_is_ranked() -> None:
    met = {name for name in dataset_names() if getattr(load_dataset(name), "rank_met", False)}
    assert met == {"toy", "file", "scientific", *(name for name in dataset_names() if name.endswith("-2018"))}


def test_partial_train_is_said_to_be_partial() -> None:
    assert "partial train" in catalog.REDIAL.summary
    assert "not of partial train" in catalog.REDIAL.published[0].note


def test_availability_asks_no_network(assets: AssetSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEARCHPLAT_DATA_DIR", raising=False)
    assert TOY.available(assets)
    assert not ML_100K.available(assets)
    assert not SCIENTIFIC.available(assets)


def test_toy_statistics(assets: AssetSource) -> None:
    found = TOY.statistics(assets, {})
    assert (found["users"], found["items"]) == (60, 40)
    assert found["average_length"] == round(found["interactions"] / 60, 2)
    assert "request_characters" not in found
    asked = TOY.statistics(assets, {"requests": True})
    assert 20 < asked["request_characters"] < 40
    assert found["density"] == round(found["interactions"] / (60 * 40), 6)


def test_scientific_has_the_published_size(assets: AssetSource) -> None:
    if not SCIENTIFIC.available(assets):
        pytest.skip("SEARCHPLAT_DATA_DIR holds no scientific/Scientific.inter.json")
    found = SCIENTIFIC.statistics(assets, {})
    assert (found["users"], found["items"], found["interactions"]) == (8317, 4344, 58492)
    assert (found["shortest"], found["longest"]) == (5, 78)


def test_latest_small_is_read_whole(assets: AssetSource) -> None:
    if not ML_LATEST_SMALL.available(assets):
        pytest.skip("SEARCHPLAT_DATA_DIR holds no ml-latest-small/ratings.csv")
    with open(os.path.join(os.environ["SEARCHPLAT_DATA_DIR"], "ml-latest-small", "ratings.csv"), "rb") as file:
        lines = sum(1 for _ in file)
    assert ML_LATEST_SMALL.statistics(assets, {})["interactions"] == lines - 1


def test_importing_stays_light() -> None:
    code = "import sys, trials.data.catalog; print({'torch', 'pandas', 'transformers', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
