"""What a source does with folders, packed files and defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from searchplat.contract import AssetSource
from searchplat.errors import AssetError, InputError
from trials.data.catalog import ML_10M, ML_100K
from trials.data.catalog_amazon import AMAZON_PET_2018
from trials.data.source import Source

PLAIN, META = "Pet_Supplies_5.json", "meta_Pet_Supplies.json"


def _names(source: Source, folder: Path, assets: AssetSource) -> list[str]:
    options = source.parse({"folder": str(folder)})
    return [path.name for path in source.files(options, assets)]


def test_packed_files_are_found_and_plain_ones_come_first(assets: AssetSource, tmp_path: Path) -> None:
    (tmp_path / f"{PLAIN}.gz").touch()
    (tmp_path / META).touch()
    assert _names(AMAZON_PET_2018, tmp_path, assets) == [f"{PLAIN}.gz", META]
    (tmp_path / PLAIN).touch()
    assert _names(AMAZON_PET_2018, tmp_path, assets) == [PLAIN, META]
    (tmp_path / META).unlink()
    with pytest.raises(AssetError, match=rf"must hold {META}\. Get {PLAIN}\.gz and .* from https://cseweb\.ucsd\.edu/"):
        _names(AMAZON_PET_2018, tmp_path, assets)


def test_only_readers_that_unpack_get_packed_files(assets: AssetSource, tmp_path: Path) -> None:
    for name in (PLAIN, META):
        (tmp_path / f"{name}.gz").touch()
    with pytest.raises(AssetError, match=f"must hold {PLAIN}, {META}"):
        _names(replace(AMAZON_PET_2018, packed=False), tmp_path, assets)


def test_packed_files_make_a_data_set_available(
    assets: AssetSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_DATA_DIR", str(tmp_path))
    folder = tmp_path / AMAZON_PET_2018.name
    folder.mkdir()
    (folder / f"{PLAIN}.gz").touch()
    assert not AMAZON_PET_2018.available(assets)
    (folder / f"{META}.gz").touch()
    assert AMAZON_PET_2018.available(assets)


def test_defaults_give_way_to_what_a_space_says() -> None:
    assert (ML_10M.parse({}).min_rating, ML_10M.parse({}).min_length) == (4.0, 5)
    assert (ML_10M.parse({"min_rating": None}).min_rating, ML_10M.parse({"min_length": 3}).min_length) == (None, 3)
    assert ML_100K.parse({}).min_rating is None
    with pytest.raises(InputError, match="data ml-10m: core: "):
        ML_10M.parse({"core": 0})
