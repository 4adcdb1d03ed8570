"""What an uninterrupted search gives: run once for all tests that compare with it."""

from __future__ import annotations

from functools import cache

import pytest
from interruptions import Whole, outcome, whole_run


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The outcome of the search of `interruptions`, by its way."""
    return cache(lambda way: outcome(whole_run(tmp_path_factory.mktemp("whole"), way)))
