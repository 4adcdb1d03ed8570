from __future__ import annotations

import pytest
from dual_models import cache, data, make_data, make_job, make_model, tiny, warm  # noqa: F401

from trials.mixrec import MixRec


@pytest.fixture
def method() -> MixRec:
    return MixRec()
