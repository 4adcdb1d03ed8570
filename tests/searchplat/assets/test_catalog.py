"""The catalogue is complete and names nothing that needs unpickling."""

from __future__ import annotations

import re

import pytest

from searchplat.assets import CATALOG
from searchplat.assets.archive import safe_relative
from searchplat.assets.catalog import WEIGHT_FILES, Asset, Hub
from searchplat.assets.convert import CONVERTERS

ASSETS = pytest.mark.parametrize("asset", CATALOG.values(), ids=lambda asset: asset.name)


@ASSETS
def test_every_route_is_pinned(asset: Asset) -> None:
    assert asset.licence
    assert asset.summary
    for route in asset.routes:
        if isinstance(route, Hub):
            assert re.fullmatch("[0-9a-f]{40}", route.revision)
        else:
            assert re.fullmatch("[0-9a-f]{64}", route.sha256)
            assert route.convert is None or route.convert in CONVERTERS
            assert all(safe_relative(target) for target in route.members.values())


@ASSETS
def test_no_route_takes_pickles_or_code(asset: Asset) -> None:
    for route in asset.routes:
        names = route.files if isinstance(route, Hub) else tuple(route.members.values())
        assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".py", ".ckpt"))]


def test_hub_patterns_take_no_pickles_or_code() -> None:
    assert set(WEIGHT_FILES) == {"*.safetensors", "*.json", "*.txt", "*.model"}
