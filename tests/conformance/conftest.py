"""Every case of the methods' conformance suite in turn; `tests/packages/method_cases.py` lists them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from method_cases import CASES, Bench


@pytest.fixture(scope="session")
def _benches(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    made: dict[str, Bench] = {}

    def bench(name: str) -> Bench:
        if name not in made:
            made[name] = Bench(CASES[name], tmp_path_factory.mktemp(name))
        return made[name]

    return bench


@pytest.fixture(params=CASES)
def bench(request: pytest.FixtureRequest, _benches: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Every case in turn, without a network."""
    monkeypatch.setenv("SEARCHPLAT_OFFLINE", "1")
    return _benches(request.param)
