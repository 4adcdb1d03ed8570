from __future__ import annotations

import pytest
from dual_models import cache, data, make_data, make_job, make_model, tiny, warm  # noqa: F401

from trials.darec import DARec


@pytest.fixture
def method() -> DARec:
    return DARec()
