from __future__ import annotations

import pytest
from dual_models import data, make_data, make_job, make_model  # noqa: F401

from trials.mixrec import MixRec


@pytest.fixture
def method() -> MixRec:
    return MixRec()
