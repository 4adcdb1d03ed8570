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


FIRST = {case.method: name for name, case in reversed(CASES.items())}
"""Of each method its first case."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whether a method learns at all is seen every day by its first case, by its others with the long tests."""
    for item in items:
        name = item.name.partition("[")
        if name[0] == "test_it_learns_eight_users_by_heart" and name[2].rstrip("]") not in FIRST.values():
            item.add_marker(pytest.mark.slow)
