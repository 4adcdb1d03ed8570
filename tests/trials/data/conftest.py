"""A store in the test's own folder, and the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from searchplat.assets import AssetStore
from searchplat.contract import AssetSource, TestPermit
from searchplat.firewall import ISSUER


@pytest.fixture
def assets(tmp_path: Path) -> AssetSource:
    return AssetStore(tmp_path / "cache")


@pytest.fixture
def permit() -> TestPermit:
    """What promotion has after it counted an opening."""
    return TestPermit("a-search", 1, 1, ISSUER)


@pytest.fixture
def real_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssetSource:
    """Fetched assets, with prepared data in the test's own folder."""
    cache = os.environ.get("SEARCHPLAT_CACHE")
    if cache is None or not (Path(cache) / "assets" / "ml-100k").is_dir():
        pytest.skip("SEARCHPLAT_CACHE holds no assets/ml-100k; `searchplat assets fetch ml-100k` gets it")
    own = tmp_path / "cache"
    (own / "assets").mkdir(parents=True)
    (own / "assets" / "ml-100k").symlink_to(Path(cache) / "assets" / "ml-100k")
    monkeypatch.delenv("SEARCHPLAT_DATA_DIR", raising=False)
    return AssetStore(own)
